"""How many pieces a vocabulary should have for so much training text."""

from math import sqrt

_SMALLEST, _LARGEST = 400, 8000
_PER_ROOT = 20  # 500 pairs give 450; the 6,000 of configs/tatoeba.yaml give 1,550, where it has 1,500


def vocabulary_for(pairs: int) -> int:
    """A size with which most pieces occur often enough to be learned, rounded to fifty.

    It grows with the square root of the number of pairs: little text wants few pieces (Sennrich and Zhang 2019,
    arXiv 1905.11901).
    """
    return min(max(round(_PER_ROOT * sqrt(pairs) / 50) * 50, _SMALLEST), _LARGEST)
