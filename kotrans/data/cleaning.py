"""Cleaning rules for training pairs, with counts of dropped pairs by rule, and detection of swapped sides."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import chain, islice
from typing import NamedTuple

import numpy as np

from kotrans.config.sections import CleaningConfig
from kotrans.data.duplicates import Flags, Keys, keys_of
from kotrans.data.formats.pairs import EXAMPLES, Pair
from kotrans.data.near_duplicates import NearDuplicates
from kotrans.errors import DataError
from kotrans.text.literals import Literals, missing_literals
from kotrans.text.normalization import has_hangul, has_invisible, is_hangul, normalize

# In the order of application; a pair is counted under the first rule that drops it. The last three compare pairs with
# others, so they are applied after all parts have passed the rest.
REASONS = (
    "empty",
    "max_characters",
    "equal_sides",
    "max_length_ratio",
    "min_hangul",
    "max_hangul_target",
    "numbers",
    "max_held_out_overlap",
    "duplicates",
    "contamination",
    "max_target_occurrences",
)
NORMALISATIONS = ("nfc", "invisible")

_LETTER = re.compile(r"[^\W\d_]")
_BETWEEN_WORDS = re.compile(r"[\W_]+")
_MIN_WORDS = 4  # shorter sentences ("그래?") occur everywhere and are no sign of contamination
_KOREAN_PER_ENGLISH = 0.5  # English needs about twice the characters of Korean for the same content
_SWAP_SAMPLE = 1000  # pairs at the beginning of each file that are checked for swapped sides
_MIN_KOREAN = 0.5  # share of Hangul among letters; Korean text about software has about 0.7
_MAX_NOT_KOREAN = 0.05


@dataclass
class Counts:
    """Counts of the pairs of one corpus."""

    read: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    """Dropped pairs by reason."""
    normalised: Counter[str] = field(default_factory=Counter)
    """Lines changed by normalization: `nfc` not composed, `invisible` with control or zero-width characters."""
    examples: dict[str, list[Pair]] = field(default_factory=dict)
    """The first dropped pairs of each reason."""

    def drop(self, reason: str, pair: Pair) -> None:
        """Counts a dropped pair, and stores it if it is among the first."""
        self.dropped[reason] += 1
        if self.dropped[reason] <= EXAMPLES:
            self.examples.setdefault(reason, []).append(pair)

    def add(self, other: "Counts") -> None:
        """Adds the counts of another part."""
        self.read += other.read
        self.kept += other.kept
        self.dropped += other.dropped
        self.normalised += other.normalised
        for reason, pairs in other.examples.items():
            mine = self.examples.setdefault(reason, [])
            mine += pairs[: EXAMPLES - len(mine)]


class Cleaned(NamedTuple):
    """N normalized pairs of a part that passed the rules for single pairs."""

    source: bytes
    """N lines."""
    target: bytes
    """N lines."""
    hashes: Keys
    """(N, 2), 128 bits per pair."""
    targets: Keys
    """(N, 1), 64 bits per target without case and punctuation; (0, 1) if no rule needs them."""
    held_out: Flags
    """(N,), true where a side also occurs in a held-out split."""
    counts: Counts
    """Pairs dropped so far; the rest are counted as kept."""


class PairRules:
    """The rules that look at a single pair."""

    def __init__(self, config: CleaningConfig) -> None:
        self._config = config

    def __call__(self, source: str, target: str) -> str | None:
        """Returns the name of the rule that drops a normalized pair, or None."""
        config = self._config
        if not source or not target:
            return "empty"
        if max(len(source), len(target)) > config.max_characters:
            return "max_characters"
        if config.equal_sides and source == target:
            return "equal_sides"
        ratio = length_ratio(source, target)
        if max(ratio, 1 / ratio) > config.max_length_ratio:
            return "max_length_ratio"
        if korean_share(source) < config.min_hangul:
            return "min_hangul"
        if hangul_share(target) > config.max_hangul_target:
            return "max_hangul_target"
        if config.numbers and not have_equal_numbers(source, target):
            return "numbers"
        return None


class Cleaner:
    """Cleans training pairs part by part with all rules but `duplicates`, which needs all parts."""

    def __init__(
        self, config: CleaningConfig, held_out: Iterable[Pair], of_corpora: Sequence[CleaningConfig] = ()
    ) -> None:
        """held_out: all pairs of the held-out splits. of_corpora: the rules for single pairs, by corpus."""
        self._rules = [PairRules(each) for each in of_corpora or [config]]
        self._held_out = HeldOutText(held_out if config.contamination else (), config.max_held_out_overlap)
        self._counts_targets = config.max_target_occurrences is not None

    def __call__(self, pairs: Iterable[Pair], corpus: int = 0) -> Cleaned:
        """Returns the remaining pairs of a part of a corpus in order."""
        counts = Counts()
        kept = list(self._kept(pairs, self._rules[corpus], counts))
        return Cleaned(
            "".join(f"{source}\n" for source, _ in kept).encode(),
            "".join(f"{target}\n" for _, target in kept).encode(),
            keys_of((blake2b(f"{source}\n{target}".encode(), digest_size=16).digest() for source, target in kept), 2),
            keys_of((sentence_digest(target) for _, target in kept if self._counts_targets), 1),
            np.array([pair in self._held_out for pair in kept], bool),
            counts,
        )

    def of_corpus(self, part: "tuple[int, list[Pair]]") -> Cleaned:
        """Returns the remaining pairs of a part; part: the index of its corpus, and its pairs."""
        corpus, pairs = part
        return self(pairs, corpus if len(self._rules) > 1 else 0)

    def _kept(self, pairs: Iterable[Pair], rules: PairRules, counts: Counts) -> Iterator[Pair]:
        for raw_source, raw_target in pairs:
            counts.read += 1
            source, target = _normalize(raw_source, counts), _normalize(raw_target, counts)
            reason = rules(source, target)
            if reason is None and self._held_out.is_near((source, target)):
                reason = "max_held_out_overlap"
            if reason is None:
                counts.kept += 1
                yield source, target
            else:
                counts.drop(reason, (source, target))


class HeldOutText:
    """The sentences of held-out splits, for detecting training pairs that contain them."""

    def __init__(self, pairs: Iterable[Pair], max_overlap: float = 1.0) -> None:
        self._sentences: set[str] = set()
        self._pairs: set[Pair] = set()
        for pair in pairs:
            source, target = (sentence_key(normalize(side)) for side in pair)
            self._pairs.add((source, target))
            self._sentences.update(side for side in (source, target) if is_long_enough(side))
        self._near = NearDuplicates(sorted(self._sentences), max_overlap)

    def __contains__(self, pair: Pair) -> bool:
        """Returns true if it holds the normalized pair, or one of its sides with four words or more."""
        if not self._pairs:
            return False
        source, target = sentence_key(pair[0]), sentence_key(pair[1])
        return source in self._sentences or target in self._sentences or (source, target) in self._pairs

    def is_near(self, pair: Pair) -> bool:
        """Returns true if a side of a normalized pair is nearly, but not exactly, one of these sentences."""
        return any(key in self._near for key in map(sentence_key, pair)) and pair not in self


def fold(line: str) -> str:
    """Returns the words of a line in lower case, without punctuation."""
    return _BETWEEN_WORDS.sub(" ", line.casefold()).strip()


def hangul_share(line: str) -> float:
    """Returns the share of Hangul among the letters of a line; 0 without letters."""
    if line.isascii():
        return 0.0
    letters = [character for character in line if character.isalpha()]
    return sum(map(is_hangul, letters)) / len(letters) if letters else 0.0


def korean_share(line: str) -> float:
    """Returns the share of words with Hangul among the words with letters; 0 without letters.

    A headline such as "Samsung Galaxy S24 Ultra 출시" is Korean, although few of its letters are Hangul.
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
    """Returns a key shared by all spellings of a normalized sentence; without words, the sentence itself."""
    return fold(line) or line


def sentence_digest(line: str) -> bytes:
    """Returns 8 bytes that all spellings of a normalized sentence share."""
    return blake2b(sentence_key(line).encode(), digest_size=8).digest()


def is_long_enough(folded: str) -> bool:
    """Returns true if a folded sentence is long enough for an equal one to count as contamination."""
    return folded.count(" ") >= _MIN_WORDS - 1


def length_ratio(source: str, target: str) -> float:
    """Returns the ratio of the lengths in characters, Korean to English, where English counts half."""
    return len(source) / (len(target) * _KOREAN_PER_ENGLISH)


def have_equal_numbers(source: str, target: str) -> bool:
    """Returns true if each number in digits of a side has its value on the other side, in digits or in words."""
    korean, english = Literals(source), Literals(target)
    missing = [*missing_literals(korean, english), *missing_literals(english, korean)]
    return not any(token.kind == "number" for token in missing)


def _normalize(line: str, counts: Counts) -> str:
    if not unicodedata.is_normalized("NFC", line):
        counts.normalised["nfc"] += 1
    if has_invisible(line):
        counts.normalised["invisible"] += 1
    return normalize(line)


def refuse_swapped_sides(pairs: Iterable[Pair], where: str) -> Iterator[Pair]:
    """Yields all pairs. Raises DataError, beginning with `where`, if the sides of the first pairs are swapped."""
    pairs = iter(pairs)
    first = list(islice(pairs, _SWAP_SAMPLE))
    source, target = (hangul_share(" ".join(side)) for side in zip(*first, strict=True)) if first else (0.0, 0.0)
    if source <= _MAX_NOT_KOREAN and target >= _MIN_KOREAN:
        raise DataError(
            f"{where}: the source side has almost no Hangul ({source:.0%} of its letters) and the target side has "
            f"{target:.0%}; are they exchanged? The source is Korean (to train on exchanged sides anyway, "
            "set cleaning.min_hangul to 0 and cleaning.max_hangul_target to 1)"
        )
    return chain(first, pairs)
