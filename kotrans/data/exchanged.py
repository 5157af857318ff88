"""Whether the two sides of a text are exchanged: English where Korean is meant to be, and Korean where English is."""

from collections.abc import Iterable, Iterator
from itertools import chain, islice

from kotrans.data.cleaning import hangul_share
from kotrans.data.formats.pairs import Pair
from kotrans.errors import DataError

_LOOKED_AT = 1000  # pairs at the beginning of each file
_KOREAN = 0.5  # share of Hangul among letters; Korean text about software has some 0.7
_NOT_KOREAN = 0.05


def refuse_exchanged(pairs: Iterable[Pair], where: str) -> Iterator[Pair]:
    """The pairs, all of them. Raises DataError beginning with `where` if nearly all of the first ones are exchanged."""
    pairs = iter(pairs)
    first = list(islice(pairs, _LOOKED_AT))
    source, target = (hangul_share(" ".join(side)) for side in zip(*first, strict=True)) if first else (0.0, 0.0)
    if source <= _NOT_KOREAN and target >= _KOREAN:
        raise DataError(
            f"{where}: the source side has almost no Hangul ({source:.0%} of its letters) and the target side has "
            f"({target:.0%}); are they exchanged? The source is Korean (to train on exchanged sides all the same, "
            "set cleaning.min_hangul to 0 and cleaning.max_hangul_target to 1)"
        )
    return chain(first, pairs)
