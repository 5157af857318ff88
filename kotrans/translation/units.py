"""Divides lines into units of translation, separated from the text that is passed through."""

from collections.abc import Sequence
from typing import NamedTuple

from kotrans.data.tokenizer import Vocabulary
from kotrans.text.normalization import normalize, normalize_except_spaces, shorten
from kotrans.text.passthrough import has_korean, split_emoji
from kotrans.text.sentence_splitter import split_sentences
from kotrans.translation.postprocess import LinePart, PreparedLine


class Unit(NamedTuple):
    """A sentence, or a line that is translated whole."""

    before: str  # passed through, before the text
    text: str = ""  # blank if everything is passed through
    after: str = ""  # passed through, after the text
    space: str = ""  # between this unit and the next
    outside: tuple[str, ...] = ()  # symbols and letters that the vocabulary lacks

    @property
    def joint(self) -> str:
        """The space after the translation; empty if text is passed through there."""
        return "" if self.after else self.space


class SourceReader:
    """Divides lines into units."""

    def __init__(self, vocabulary: Vocabulary, *, passes_through: bool) -> None:
        """passes_through: lines and sentences without Korean letters are not translated."""
        self._vocabulary = vocabulary
        self._passes_through = passes_through

    def units(self, line: str, *, splits: bool) -> list[Unit]:
        """Returns the sentences of a line, or the whole line as one unit; empty if it is blank."""
        if self._passes(line):
            return [Unit(normalize(line))] if line.strip() else []
        line = normalize_except_spaces(line)
        sentences = split_sentences(line) if splits else [(line, "")]
        return [self._unit(sentence, _blanks(space)) for sentence, space in sentences if sentence.strip()]

    def units_of_pair(self, source: str, target: str, *, splits: bool) -> list[tuple[Unit, str]] | None:
        """Returns units of the source, each with the text that the model scores as its translation.

        None if the sides have different numbers of sentences.
        """
        if not splits:
            return [self._unit_of_pair(normalize_except_spaces(source), target, "")]
        sources, targets = (
            [each for each in split_sentences(normalize_except_spaces(side)) if each[0].strip()]
            for side in (source, target)
        )
        if len(sources) != len(targets):
            return None
        return [
            self._unit_of_pair(sentence, given, _blanks(space))
            for (sentence, space), (given, _) in zip(sources, targets, strict=True)
        ]

    def _unit_of_pair(self, source: str, target: str, space: str) -> tuple[Unit, str]:
        """A sentence that would be passed through is scored by the model unless its translation is the same text."""
        if self._passes(source) and normalize(source) == normalize(target):
            return self._unit(source, space), ""
        unit = self._divided(source, space)
        return unit, normalize(target).removeprefix(unit.before.strip()).removesuffix(unit.after.strip())

    def _unit(self, sentence: str, space: str) -> Unit:
        return Unit(normalize(sentence), space=space) if self._passes(sentence) else self._divided(sentence, space)

    def _divided(self, sentence: str, space: str) -> Unit:
        before, text, after, outside = split_emoji(sentence, self._vocabulary.has)
        return Unit(_passed(before), shorten(text), _passed(after), space, outside)

    def _passes(self, text: str) -> bool:
        return self._passes_through and not has_korean(text)


def parts_of(ids: Sequence[int], most: int, vocabulary: Vocabulary, space: str = "") -> list[LinePart]:
    """Cuts a long source into parts of at most `most` pieces, before a word in their second half if there is one."""
    if len(ids) <= most:
        return [LinePart(ids, space)] if ids else []
    begins = [piece.startswith("▁") for piece in vocabulary.pieces(ids)]
    parts, start = [], 0
    while len(ids) - start > most:
        end = start + most
        cut = next((i for i in range(end, start + most // 2, -1) if begins[i]), end)
        parts.append(LinePart(ids[start:cut], " "))
        start = cut
    return [*parts, LinePart(ids[start:], space)]


def prepared_line(units: Sequence[Unit], parts_of_units: Sequence[Sequence[LinePart]], line: str) -> PreparedLine:
    """Returns a line from its units and the parts of each."""
    parts, passed, cut = list[LinePart](), [""], False
    for unit, of_unit in zip(units, parts_of_units, strict=True):
        parts += of_unit
        passed[-1] += unit.before
        passed += [""] * len(of_unit)
        passed[-1] += unit.after + unit.space if unit.after or not of_unit else ""
        cut |= len(of_unit) > 1
    outside = dict.fromkeys(each for unit in units for each in unit.outside)
    return PreparedLine(line, parts, cut, tuple(passed), tuple(outside))


def _passed(emoji: str) -> str:
    """Emoji at an end of a sentence, with one space where white space separates them from the text."""
    if not emoji:
        return ""
    return " " * emoji[0].isspace() + normalize(emoji) + " " * emoji[-1].isspace()


def _blanks(space: str) -> str:
    """Spaces between two sentences as they are; other white space becomes one space, so that a line stays a line."""
    return space if set(space) <= {" "} else " "
