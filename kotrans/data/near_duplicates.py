"""Finds training sentences that are nearly equal to held-out ones."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

_WORDS = 3  # in a sequence
_MIN_SEQUENCES = 4  # a shorter sentence shares too many with others by chance


class NearDuplicates:
    """Held-out sentences, indexed by their sequences of three words.

    Two sentences overlap by the proportion of the shorter one's sequences that the other one has, too (the containment
    of Broder 1997, "On the resemblance and containment of documents", without its sampling).
    """

    def __init__(self, folded: Iterable[str], max_overlap: float) -> None:
        """folded: sentences without case and punctuation. max_overlap: the largest overlap that is accepted."""
        self._max_overlap = max_overlap
        self._sizes: list[int] = []
        self._holders: defaultdict[str, list[int]] = defaultdict(list)
        for sentence in folded if max_overlap < 1 else ():
            sequences = set(_sequences(sentence))
            if len(sequences) >= _MIN_SEQUENCES:
                for sequence in sequences:
                    self._holders[sequence].append(len(self._sizes))
                self._sizes.append(len(sequences))

    def __contains__(self, folded: str) -> bool:
        """Returns true if a sentence overlaps one of the held-out sentences by more than is accepted."""
        if not self._sizes:
            return False
        sequences = set(_sequences(folded))
        if len(sequences) < _MIN_SEQUENCES:
            return False
        shared = Counter(holder for sequence in sequences for holder in self._holders.get(sequence, ()))
        return any(
            count > self._max_overlap * min(len(sequences), self._sizes[holder]) for holder, count in shared.items()
        )


def _sequences(folded: str) -> Iterator[str]:
    words = folded.split()
    return (" ".join(words[i : i + _WORDS]) for i in range(len(words) - _WORDS + 1))
