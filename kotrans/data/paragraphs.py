"""Turns paragraphs with markup into sentence pairs."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from kotrans.config.sections import Markup
from kotrans.data.formats.pairs import Pair
from kotrans.text.markup import plain_text
from kotrans.text.sentence_splitter import split_sentences


@dataclass
class Paragraphs:
    """Removes markup and splits pairs of paragraphs into pairs of sentences, as the settings of a corpus say."""

    markup: Markup = "none"
    split: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    """Paragraphs of several sentences: `split`, or `whole` because their sides have different numbers of sentences."""

    def __call__(self, pairs: Iterable[Pair]) -> Iterator[Pair]:
        """Yields the resulting pairs, in order."""
        markup = self.markup
        if markup != "none":
            pairs = ((plain_text(source, markup), plain_text(target, markup)) for source, target in pairs)
        return self._sentences(pairs) if self.split else iter(pairs)

    def _sentences(self, pairs: Iterable[Pair]) -> Iterator[Pair]:
        for pair in pairs:
            source, target = (_sentences_of(side) for side in pair)
            if len(source) != len(target):
                self.counts["whole"] += 1
                yield pair
            elif len(source) == 1:
                yield pair
            else:
                self.counts["split"] += 1
                yield from zip(source, target, strict=True)


def _sentences_of(paragraph: str) -> list[str]:
    return [sentence for sentence, _ in split_sentences(paragraph)]
