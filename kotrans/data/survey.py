"""A closer look at the training text of a config: samples of dropped pairs, lengths, and overlaps of corpora."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import numpy as np

from kotrans.config.schema import Config
from kotrans.data.cleaning import HeldOutText, PairRules, length_ratio, sentence_digest
from kotrans.data.corpora import Corpus
from kotrans.data.duplicates import Keys, keys_of
from kotrans.data.formats.pairs import Pair, Pairs
from kotrans.text.normalization import normalize

WORDS = (5, 10, 20, 40, 80)
"""Upper ends of the groups of lengths in words."""
RATIOS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Upper ends of the groups of length ratios, Korean to English, where English counts half."""

Dropped = Callable[[str, str, Pair], object]
"""Called with the corpus, the reason and the normalized pair."""


@dataclass
class Survey:
    """What was seen of one corpus."""

    name: str
    samples: dict[str, list[Pair]] = field(default_factory=dict)
    """Dropped pairs of each reason, drawn at random."""
    words: Counter[int] = field(default_factory=Counter)
    """Kept pairs by the index of their group of `WORDS`, of the English side; the last group has no end."""
    ratios: Counter[int] = field(default_factory=Counter)
    """Kept pairs by the index of their group of `RATIOS`."""
    overlaps: dict[str, int] = field(default_factory=dict)
    """Pairs of which a side also occurs in another corpus, or in a split that is held out of training."""


def survey(config: Config, corpora: Sequence[Corpus], samples: int, dropped: Dropped | None = None) -> list[Survey]:
    """Cleans the training text again, in one process, and returns what was seen of each corpus.

    samples: dropped pairs to keep of each reason. dropped: called for every dropped pair. Needs about 150 bytes of
    memory per pair. Raises DataError.
    """
    with TemporaryDirectory() as folder:
        rules = list(map(config.cleaning_of, config.corpora))
        texts = [
            (corpus, corpus.text(Path(folder) / str(number), own))
            for number, (corpus, own) in enumerate(zip(corpora, rules, strict=True))
        ]
        held_out = _held_out(text.held_out for _, text in texts)
        look = _Look(config, held_out, samples, dropped)
        found = [
            look.at(corpus.name, text.train, PairRules(own)) for (corpus, text), own in zip(texts, rules, strict=True)
        ]
    splits = {split: _keys(pairs) for split, pairs in held_out.items()}
    for one, keys in found:
        others = {other.name: theirs for other, theirs in found if other is not one}
        one.overlaps = {name: _overlap(keys, theirs) for name, theirs in (others | splits).items()}
    return [one for one, _ in found]


def _held_out(splits: Iterable[dict[str, Pairs]]) -> dict[str, list[Pair]]:
    held_out: defaultdict[str, list[Pair]] = defaultdict(list)
    for of_corpus in splits:
        for split, pairs in of_corpus.items():
            held_out[split] += ((normalize(source), normalize(target)) for source, target in zip(*pairs, strict=True))
    return dict(held_out)


class _Look:
    """Applies the rules of cleaning to one corpus after another."""

    def __init__(self, config: Config, held_out: dict[str, list[Pair]], samples: int, dropped: Dropped | None) -> None:
        cleaning = config.cleaning
        pairs = [pair for split in held_out.values() for pair in split] if cleaning.contamination else []
        self._held_out = HeldOutText(pairs, cleaning.max_held_out_overlap)
        self._seen: set[bytes] | None = set() if cleaning.duplicates else None
        self._most, self._targets = cleaning.max_target_occurrences, Counter[bytes]()
        self._samples, self._dropped = samples, dropped
        self._random = Random(config.seed)

    def at(self, name: str, pairs: Iterable[Pair], rules: PairRules) -> tuple[Survey, Keys]:
        """Returns what was seen, and the keys (N, 2) of both sides of all pairs that are not empty."""
        found, counts, digests = Survey(name), Counter[str](), list[bytes]()
        for raw in pairs:
            pair = normalize(raw[0]), normalize(raw[1])
            digests += _digests(pair) if all(pair) else []
            reason = rules(*pair) or self._reason(pair)
            if reason is None:
                found.words[_group(len(pair[1].split()), WORDS)] += 1
                found.ratios[_group(length_ratio(*pair), RATIOS)] += 1
                continue
            counts[reason] += 1
            self._keep(found.samples.setdefault(reason, []), pair, counts[reason])
            if self._dropped is not None:
                self._dropped(name, reason, pair)
        return found, keys_of(digests, 2)

    def _reason(self, pair: Pair) -> str | None:
        if self._held_out.is_near(pair):
            return "max_held_out_overlap"
        if self._seen is not None:
            key = blake2b("\n".join(pair).encode(), digest_size=16).digest()
            if key in self._seen:
                return "duplicates"
            self._seen.add(key)
        if pair in self._held_out:
            return "contamination"
        if self._most is None:
            return None
        key = sentence_digest(pair[1])
        self._targets[key] += 1
        return "max_target_occurrences" if self._targets[key] > self._most else None

    def _keep(self, kept: list[Pair], pair: Pair, number: int) -> None:
        """Keeps a random sample of the pairs so far (Vitter 1985, algorithm R)."""
        if len(kept) < self._samples:
            kept.append(pair)
        elif (place := self._random.randrange(number)) < self._samples:
            kept[place] = pair


def _group(value: float, ends: tuple[float, ...]) -> int:
    return next((i for i, end in enumerate(ends) if value <= end), len(ends))


def _digests(pair: Pair) -> Iterator[bytes]:
    return map(sentence_digest, pair)


def _keys(pairs: Iterable[Pair]) -> Keys:
    return keys_of((digest for pair in pairs if all(pair) for digest in _digests(pair)), 2)


def _overlap(keys: Keys, others: Keys) -> int:
    """Returns how many of keys (N, 2) have a side that occurs on the same side of others (M, 2)."""
    return int((np.isin(keys[:, 0], others[:, 0]) | np.isin(keys[:, 1], others[:, 1])).sum())
