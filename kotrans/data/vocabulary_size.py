"""How many pieces a vocabulary should have for so much training text."""

from math import sqrt

# 256 bytes and the syllables of little text are some 500 to 1,000 pieces already. 500 pairs give 1,100, 6,000 give
# 1,700 and 240,000 give 5,800; the configs that come with kotrans have 1,500 and 6,000 for the last two.
_ALWAYS, _PER_ROOT = 900, 10


def vocabulary_for(pairs: int) -> int:
    """A size with which most pieces occur often enough to be learned, rounded to a hundred.

    It grows with the square root of the number of pairs: little text wants few pieces (Sennrich and Zhang 2019,
    arXiv 1905.11901).
    """
    return round((_ALWAYS + _PER_ROOT * sqrt(pairs)) / 100) * 100
