"""How many bytes a search takes at most, computed from lengths before it begins."""

from collections.abc import Sequence
from dataclasses import dataclass

from kotrans.config.schema import SearchConfig

_FLOAT = 4  # bytes
_WEIGHT_COPIES = 3  # of attention weights: in the trellis, gathered for hypotheses that end, and cut to their size
_LOGIT_COPIES = 4  # of the logits of a step, for the model, an ensemble's mean, and the choice of pieces
_SOURCE_POSITION = 16_384  # bytes of the encoder's states and attention keys for a source piece, copied at each join
_PIECE = 100  # bytes of a piece of a hypothesis in Python's objects


@dataclass(frozen=True)
class SearchMemory:
    """The limit of a search's memory beyond the model: one half for what runs, one for parts that are finished.

    Finished parts wait for the other parts of their line, with their attention weights.
    """

    limit: int
    """Bytes."""
    vocabulary: int
    """Pieces of the target side."""
    config: SearchConfig

    def running(self, rows: int, parts: int, longest: int) -> int:
        """Bytes of so many hypotheses of so many parts, the longest of which has so many source pieces with EOS.

        The attention weights of all hypotheses are as wide as the longest source.
        """
        weights = _WEIGHT_COPIES * _FLOAT * longest * self.longest_target(longest)
        return rows * (weights + _LOGIT_COPIES * _FLOAT * self.vocabulary) + parts * longest * _SOURCE_POSITION

    def finished(self, lengths: Sequence[int], hypotheses: int) -> int:
        """Bytes of so many hypotheses of each part of a line; lengths are the source pieces of the parts with EOS."""
        return hypotheses * sum(self.longest_target(each) * (_FLOAT * each + _PIECE) for each in lengths)

    def fits_running(self, rows: int, parts: int, longest: int) -> bool:
        """Whether this may run at the same time."""
        return 2 * self.running(rows, parts, longest) <= self.limit

    def fits_finished(self, total: int) -> bool:
        """Whether finished parts may take so many bytes."""
        return 2 * total <= self.limit

    def fits_alone(self, lengths: Sequence[int], beam: int) -> bool:
        """Whether a line of such parts can be translated when there is no other."""
        longest = max(lengths, default=0)
        return self.fits_running(beam, 1, longest) and self.fits_finished(self.finished(lengths, beam))

    def longest_target(self, pieces: int) -> int:
        """The most pieces, EOS counted, of a translation of so many source pieces with EOS."""
        return int(self.config.max_length_ratio * pieces) + self.config.max_length_extra
