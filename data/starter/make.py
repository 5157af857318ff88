"""Writes the starter corpus: python data/starter/make.py [folder].

The output depends only on SEED. Train is drawn first; a dev, test or long pair is kept only if each of its words
occurs in train FAMILIAR times, and no line of one split occurs in another one on either side.
"""

import argparse
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import kinds_comparing as comparing
import kinds_describing as describing
import kinds_embedded as embedded
import kinds_greetings as greetings
import kinds_joined as joined
import kinds_long as longer
import kinds_numbers as numbered
import kinds_questions as questions
import kinds_sequence as sequences
import kinds_simple as simple
from clauses import Pair
from endings import Style
from scene import Scene

SEED = 20240305
TRAIN, DEV, TEST, LONG = 16_000, 500, 500, 500
# Minimum occurrences in train of each word of dev, test and long.
FAMILIAR = 4
# Length of long lines in multiples of train's average, in characters and words.
LONG_RANGE = (2.15, 2.95)
LONG_WORDS = (1.8, 3.2)
STYLES = (Style.POLITE,) * 9 + (Style.FORMAL,) * 4 + (Style.PLAIN,) * 3 + (Style.CASUAL,) * 4

Kind = Callable[[Scene], Pair]

# Kinds that do not occur in the plain style (diaries, reports).
SPOKEN: dict[Kind, int] = {
    simple.question: 7, simple.who_question: 2, simple.request: 4, simple.command: 4, simple.suggestion: 4,
    simple.promise: 3, simple.permission: 2, describing.person_quality_question: 2, joined.advice: 3,
    questions.what: 3, questions.where: 3, questions.when: 3, questions.why: 3, questions.how_many: 2,
    questions.where_is: 1, questions.how_much: 1, questions.how_is: 1, greetings.expression: 9, greetings.greeted: 4,
    greetings.answer: 4,
}  # fmt: skip
ANY_STYLE: dict[Kind, int] = {
    simple.statement: 24, simple.negation: 7, simple.mood: 8, simple.ability: 5, simple.ongoing: 6,
    simple.experience: 4, describing.thing_quality: 5, describing.hall_quality: 2, describing.person_quality: 5,
    describing.job: 3, describing.pointing: 1, describing.having: 2, describing.owning_some: 2, describing.existing: 3,
    describing.located: 3, comparing.comparison: 3, numbered.weather: 4, numbered.age: 2, numbered.price: 2,
    numbered.day: 2, numbered.hour: 2, numbered.floor: 1, numbered.bus: 1, numbered.gathering: 1,
    joined.reason: 6, joined.condition: 4, joined.occasion: 3, joined.contrast: 5, sequences.sequence: 4,
    sequences.before_after: 4, sequences.meanwhile: 3, sequences.errand: 4, embedded.relative: 4,
    embedded.relative_person: 3,
    embedded.relative_object: 3, embedded.reported_statement: 4, embedded.order: 2, embedded.proposal: 2,
    embedded.inquiry: 2, joined.even_if: 2, simple.also: 3, numbered.name: 2, numbered.home: 1,
}  # fmt: skip
LONGER_SHARE = 0.17


def draw(rng: Random, long_only: bool = False) -> Pair:
    """Returns one pair of any kind, or one of the longer kinds."""
    scene = Scene(rng, rng.choice(STYLES))
    if long_only or rng.random() < LONGER_SHARE:
        return rng.choice(longer.LONGER)(scene)
    kinds = ANY_STYLE if scene.style is Style.PLAIN else ANY_STYLE | SPOKEN
    return rng.choices(list(kinds), list(kinds.values()))[0](scene)


def words(pair: Pair) -> list[str]:
    """Returns the words of both sides, without punctuation and capitals."""
    return [word.strip(".,?!").lower() for side in pair for word in side.split()]


class Corpus:
    """The splits drawn so far; every Korean line is unique."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.splits: dict[str, list[Pair]] = {}
        self.seen: set[str] = set()

    def fill(self, split: str, count: int, suits: Callable[[Pair], bool], long_only: bool = False) -> None:
        """Draws pairs until the split has `count` suitable ones that are new on both sides.

        Train, which is drawn first, may repeat English lines: 감사합니다 and 고마워요 are both "Thank you."
        """
        pairs = self.splits.setdefault(split, [])
        while len(pairs) < count:
            pair = draw(self.rng, long_only)
            if pair.ko in self.seen or (split != "train" and pair.en in self.seen) or not suits(pair):
                continue
            self.seen.update(pair)
            pairs.append(pair)


def corpus(seed: int = SEED) -> dict[str, list[Pair]]:
    """Returns the four splits."""
    drawn = Corpus(seed)
    drawn.fill("train", TRAIN, lambda pair: True)
    train = drawn.splits["train"]
    counts = Counter(word for pair in train for word in words(pair))

    def familiar(pair: Pair) -> bool:
        return all(counts[word] >= FAMILIAR for word in words(pair))

    characters = average(train, lambda pair: len(pair.ko))
    korean_words = average(train, lambda pair: len(pair.ko.split()))

    def is_long(pair: Pair) -> bool:
        fits_characters = LONG_RANGE[0] <= len(pair.ko) / characters <= LONG_RANGE[1]
        fits_words = LONG_WORDS[0] <= len(pair.ko.split()) / korean_words <= LONG_WORDS[1]
        return fits_characters and fits_words and familiar(pair)

    drawn.fill("dev", DEV, familiar)
    drawn.fill("test", TEST, familiar)
    drawn.fill("long", LONG, is_long, long_only=True)
    return drawn.splits


def average(pairs: list[Pair], measure: Callable[[Pair], int]) -> float:
    """Returns the mean of a measure over the pairs."""
    return sum(map(measure, pairs)) / len(pairs)


def write(splits: dict[str, list[Pair]], folder: Path) -> None:
    """Writes each split as two line-aligned files."""
    for split, pairs in splits.items():
        for side in ("ko", "en"):
            text = "".join(f"{getattr(pair, side)}\n" for pair in pairs)
            (folder / f"{split}.{side}").write_text(unicodedata.normalize("NFC", text), encoding="utf-8", newline="\n")


def report(splits: dict[str, list[Pair]]) -> str:
    """Returns a table of the splits' sizes and average lengths."""
    lines = ["split   pairs  ko words  ko characters  en words"]
    for split, pairs in splits.items():
        ko_words = average(pairs, lambda pair: len(pair.ko.split()))
        characters = average(pairs, lambda pair: len(pair.ko))
        en_words = average(pairs, lambda pair: len(pair.en.split()))
        lines.append(f"{split:5} {len(pairs):7} {ko_words:9.2f} {characters:14.2f} {en_words:9.2f}")
    return "\n".join(lines)


def main() -> None:
    """Writes the corpus into this folder or the given one."""
    parser = argparse.ArgumentParser(description="Write the starter corpus.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).resolve().parent)
    folder = parser.parse_args().folder
    splits = corpus()
    write(splits, folder)
    print(report(splits))


if __name__ == "__main__":
    main()
