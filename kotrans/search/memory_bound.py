"""Upper bounds on the memory of a search, computed from lengths before it starts."""

from collections.abc import Sequence
from dataclasses import dataclass

from kotrans.config.schema import SearchConfig

_FLOAT = 4  # bytes
_WEIGHT_COPIES = 3  # of attention weights: in the tree, gathered for hypotheses that end, and cut to their size
_LOGIT_COPIES = 4  # of the logits of a step: of the model, of an ensemble, and two in the choice of pieces
_SOURCE_POSITION = 16_384  # bytes of encoder state and attention key per source piece, with the copy made by a join
_PIECE = 100  # bytes per piece of a hypothesis in Python objects


@dataclass(frozen=True)
class SearchMemory:
    """Limit of the memory of a search, without the model: one half for running searches, one for finished parts.

    Finished parts of a line are kept, with their attention weights, until the other parts are done.
    """

    limit: int
    """Bytes."""
    vocabulary: int
    """Target pieces."""
    config: SearchConfig

    def running(self, rows: int, parts: int, longest: int) -> int:
        """Returns the bytes of `rows` hypotheses of `parts` parts; longest: source pieces of the longest, with EOS.

        The attention weights of all hypotheses are as wide as the longest source.
        """
        weights = _WEIGHT_COPIES * _FLOAT * longest * self.longest_target(longest)
        return rows * (weights + _LOGIT_COPIES * _FLOAT * self.vocabulary) + parts * longest * _SOURCE_POSITION

    def finished(self, lengths: Sequence[int], hypotheses: int) -> int:
        """Returns the bytes of `hypotheses` per part of a line; lengths: source pieces of the parts, with EOS."""
        return hypotheses * sum(self.longest_target(each) * (_FLOAT * each + _PIECE) for each in lengths)

    def fits_running(self, rows: int, parts: int, longest: int) -> bool:
        """Returns whether a search of this size fits; arguments as in `running`."""
        return 2 * self.running(rows, parts, longest) <= self.limit

    def fits_finished(self, total: int) -> bool:
        """Returns whether `total` bytes of finished parts fit."""
        return 2 * total <= self.limit

    def fits_alone(self, lengths: Sequence[int], beam: int) -> bool:
        """Returns whether a line with parts of these lengths fits when no other line is translated."""
        longest = max(lengths, default=0)
        return self.fits_running(beam, 1, longest) and self.fits_finished(self.finished(lengths, beam))

    def longest_target(self, pieces: int) -> int:
        """Returns the maximum length of a translation of `pieces` source pieces, both in pieces with EOS."""
        return int(self.config.max_length_ratio * pieces) + self.config.max_length_extra
