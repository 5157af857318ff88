"""Which training pairs are dropped, and why: one rule each, counted by reason.

Whether the two sides of a text are exchanged: English where Korean is meant to be, and Korean where English is.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import chain, islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kotrans.config.sections import CleaningConfig
from kotrans.data.duplicates import keys_of
from kotrans.data.formats.pairs import Pair
from kotrans.errors import DataError
from kotrans.text.normalization import has_hangul, has_invisible, is_hangul, normalize

# In the order in which the rules are asked; a pair counts under the first that drops it. The last two come when every
# part has been through the others.
REASONS = (
    "empty",
    "max_characters",
    "equal_sides",
    "max_length_ratio",
    "min_hangul",
    "max_hangul_target",
    "duplicates",
    "contamination",
)
NORMALISATIONS = ("nfc", "invisible")

_LETTER = re.compile(r"[^\W\d_]")
EXAMPLES = 3
"""How many dropped pairs of each reason are kept to be shown."""
_BETWEEN_WORDS = re.compile(r"[\W_]+")
_FEWEST_WORDS = 4  # shorter sentences ("그래?") occur everywhere and give nothing away
_ENGLISH_SHARE = 0.5  # English needs about twice the characters of Korean for the same

Examples = dict[str, list[tuple[str, str]]]
"""The first pairs that were dropped, by reason."""


@dataclass
class Counts:
    """What became of the pairs of one corpus."""

    read: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    """Pairs by reason."""
    normalised: Counter[str] = field(default_factory=Counter)
    """Lines that normalisation changed: `nfc` not composed, `invisible` with control or zero-width characters."""
    examples: Examples = field(default_factory=dict)

    def drop(self, reason: str, pair: tuple[str, str]) -> None:
        """Counts a dropped pair, and keeps it if it is one of the first."""
        self.dropped[reason] += 1
        if self.dropped[reason] <= EXAMPLES:
            self.examples.setdefault(reason, []).append(pair)

    def add(self, other: "Counts") -> None:
        """Takes the counts of another part in."""
        self.read += other.read
        self.kept += other.kept
        self.dropped += other.dropped
        self.normalised += other.normalised
        for reason, pairs in other.examples.items():
            mine = self.examples.setdefault(reason, [])
            mine += pairs[: EXAMPLES - len(mine)]


class Cleaned(NamedTuple):
    """Pairs that every rule about one pair alone has left, normalised, as N lines of each side."""

    source: bytes
    target: bytes
    digests: npt.NDArray[np.uint64]
    """(N, 2), a hash of each pair."""
    held_out: npt.NDArray[np.bool_]
    """(N,), true where a side also stands in a held-out split."""
    counts: Counts
    """What was dropped so far; whatever is left counts as kept."""


class PairRules:
    """The rules about one pair alone."""

    def __init__(self, config: CleaningConfig) -> None:
        self._config = config

    def __call__(self, source: str, target: str) -> str | None:
        """The rule that drops a normalised pair; None if it stays."""
        config = self._config
        if not source or not target:
            return "empty"
        if max(len(source), len(target)) > config.max_characters:
            return "max_characters"
        if config.equal_sides and source == target:
            return "equal_sides"
        if _length_ratio(source, target) > config.max_length_ratio:
            return "max_length_ratio"
        if korean_share(source) < config.min_hangul:
            return "min_hangul"
        if hangul_share(target) > config.max_hangul_target:
            return "max_hangul_target"
        return None


class Cleaner:
    """Cleans training pairs part by part: all rules but the one about duplicates, which may be in other parts."""

    def __init__(self, config: CleaningConfig, held_out: Iterable[tuple[str, str]]) -> None:
        """`held_out` is every pair of the splits that are not trained on."""
        self._reason = PairRules(config)
        self._held_out = HeldOutText(held_out if config.contamination else ())

    def __call__(self, pairs: Iterable[tuple[str, str]]) -> Cleaned:
        """The pairs that stay, in their order."""
        counts = Counts()
        kept = list(self._kept(pairs, counts))
        return Cleaned(
            "".join(f"{source}\n" for source, _ in kept).encode(),
            "".join(f"{target}\n" for _, target in kept).encode(),
            keys_of((blake2b(f"{source}\n{target}".encode(), digest_size=16).digest() for source, target in kept), 2),
            np.array([pair in self._held_out for pair in kept], bool),
            counts,
        )

    def _kept(self, pairs: Iterable[tuple[str, str]], counts: Counts) -> Iterator[tuple[str, str]]:
        for raw_source, raw_target in pairs:
            counts.read += 1
            source, target = _normalized(raw_source, counts), _normalized(raw_target, counts)
            reason = self._reason(source, target)
            if reason is None:
                counts.kept += 1
                yield source, target
            else:
                counts.drop(reason, (source, target))


class HeldOutText:
    """The sentences of held-out splits, for detecting training pairs that contain them."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._sentences: set[str] = set()
        self._pairs: set[tuple[str, str]] = set()
        for pair in pairs:
            source, target = (sentence_key(normalize(side)) for side in pair)
            self._pairs.add((source, target))
            self._sentences.update(side for side in (source, target) if is_long_enough(side))

    def __contains__(self, pair: tuple[str, str]) -> bool:
        """Whether a normalised pair is in it, or one of its sides that has four words or more."""
        if not self._pairs:
            return False
        source, target = sentence_key(pair[0]), sentence_key(pair[1])
        return source in self._sentences or target in self._sentences or (source, target) in self._pairs


def fold(line: str) -> str:
    """What two spellings of the same sentence share: its words in lower case, without punctuation."""
    return _BETWEEN_WORDS.sub(" ", line.casefold()).strip()


def hangul_share(line: str) -> float:
    """Share of Hangul among the letters of a line; 0 if it has none."""
    if line.isascii():
        return 0.0
    letters = [character for character in line if character.isalpha()]
    return sum(map(is_hangul, letters)) / len(letters) if letters else 0.0


def korean_share(line: str) -> float:
    """Share of words with Hangul among the words with letters; 0 if it has none.

    A headline such as "Samsung Galaxy S24 Ultra 출시" is Korean, though few of its letters are.
    """
    if line.isascii():
        return 0.0
    korean = others = 0
    for word in line.split():
        if has_hangul(word):
            korean += 1
        elif _LETTER.search(word):
            others += 1
    return korean / (korean + others) if korean else 0.0


def sentence_key(line: str) -> str:
    """What all spellings of a normalised sentence share; of one without words, it is the sentence itself."""
    return fold(line) or line


def is_long_enough(folded: str) -> bool:
    """Whether a folded sentence is long enough that an equal one elsewhere counts as contamination."""
    return folded.count(" ") >= _FEWEST_WORDS - 1


def _length_ratio(source: str, target: str) -> float:
    ratio = len(source) / (len(target) * _ENGLISH_SHARE)
    return max(ratio, 1 / ratio)


def _normalized(line: str, counts: Counts) -> str:
    if not unicodedata.is_normalized("NFC", line):
        counts.normalised["nfc"] += 1
    if has_invisible(line):
        counts.normalised["invisible"] += 1
    return normalize(line)


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
