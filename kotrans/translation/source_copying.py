"""Copies literals of the source that a translation misspells or lacks.

A small model spells a rare name piece by piece, and often wrongly, but attends to it meanwhile. Luong et al. 2015
(arXiv 1410.8206) copy the source word of an unknown target word; with subword pieces no word is unknown, only wrong.

Shape key: T target pieces, S source pieces, U target literals, R source literals.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from kotrans.config.schema import Copying
from kotrans.engine.stepper import Weights
from kotrans.text.literals import Kind, Literals, Token, count_word, missing_literals, opaque_spans
from kotrans.text.quantities import english_form
from kotrans.text.subwords import piece_indices, spell_pieces
from kotrans.translation.copies import Copy, Edit, edited
from kotrans.translation.word_alignment import word_weights

KINDS: dict[Copying, frozenset[Kind]] = {
    "none": frozenset(),
    "opaque": frozenset(["opaque"]),
    "words": frozenset(["opaque", "word"]),
    "all": frozenset(["opaque", "word", "number"]),
}
"""The kinds of literals that each value of `search.copying` copies."""
# Attention is a number from 0 to 1, and so is likeness (`_likeness`). The limits were chosen by BLEU on a dev split.
_LEAST_ATTENTION = 0.1  # of the replaced words to the literal
_LEAST_SUM = 0.3  # of attention and likeness
_INSERTION_ATTENTION = 0.2  # for inserting a missing word beside a word that stays
_WORD_LIKENESS = 0.5  # of a lower-case word, which may be a right translation
_OPAQUE_LIKENESS = 0.6  # of words that are replaced by a placeholder, address or piece of code
_MOST_WORDS = 6  # that a mangled opaque literal may have become
_SHORTEST = 4  # characters of an opaque literal that is compared by likeness
_SENTENCE_START = frozenset(".!?:\"'“‘(")
_PUNCTUATION = "\"'“”‘’.,;:!?()"
_WORD = re.compile(r"\S+")


class SourceLiterals:
    """The literals of a source and the pieces (S) that spell them."""

    def __init__(self, pieces: Sequence[str]) -> None:
        text, self._owners = spell_pieces(pieces)
        self.literals = Literals(text)

    def columns(self, token: Token) -> range:
        """Returns the pieces that spell a literal."""
        return range(self._owners[token.begin], self._owners[token.end - 1] + 1)


class _Proposal(NamedTuple):
    """An edit that may correct a translation."""

    confidence: float
    edit: Edit
    token: Token | None
    """The literal of the source; None if a surplus one is removed."""


def copy_literals(
    text: str, source: SourceLiterals, target: Sequence[str], weights: Weights, copying: Copying = "all"
) -> tuple[str, list[Copy]]:
    """Returns the text with missing literals of the source copied into it, and the copies in order.

    text: the normalised text of the target pieces (T); weights (T, S). Literals that the source has more often than
    the text are copied. A number replaces only a number; a word replaces only a similar word or one that looks like a
    name; both only if the replaced pieces attend to it. If there is none, a word is inserted before the word that
    attends most to it, and so is a placeholder, address or piece of code, at any attention. Each literal is used once,
    the most confident edit first, and only if the text then has more of its source than before.
    """
    wanted, kinds = source.literals, KINDS[copying]
    if not any(token.kind in kinds for token in wanted.firm):
        return text, []
    present = Literals(text)
    keys = {_identity(token) for token in missing_literals(wanted, present)}
    missing = [token for token in wanted.firm if token.kind in kinds and _identity(token) in keys]  # each occurrence
    has_opaque = any(token.kind == "opaque" for token in wanted.firm)
    surplus = list(_removals(present, wanted)) if has_opaque else []
    owners = piece_indices(text, target) if missing or surplus else None
    if owners is None:
        return text, []  # nothing to do, or the pieces do not spell the text
    proposals = [*_replacements(missing, source, present, owners, weights), *surplus]
    for token in missing:
        columns = source.columns(token)
        attention = weights[:, columns.start : columns.stop].sum(1).tolist()  # (T,)
        if token.kind == "opaque":
            proposals += _placements(token, attention, text, present, owners)
        elif token.kind == "word" and max(attention) >= _INSERTION_ATTENTION:
            place = _peak(text, owners, attention)
            proposals.append(_Proposal(0.0, Edit(place, place, token.text), token))
    edits = _accepted(text, wanted, present, proposals)
    copies = [_copy(text, edit, owners, len(target)) for edit in sorted(edits)]
    return edited(text, edits), copies


def _identity(token: Token) -> object:
    return (token.kind, token.quantity.readings if token.quantity else token.key)


def _replacements(
    missing: Sequence[Token], source: SourceLiterals, present: Literals, owners: Sequence[int], weights: Weights
) -> Iterator[_Proposal]:
    """Proposes words and numbers of the source for those of the text that attend to them."""
    wanted = [token for token in missing if token.kind != "opaque"]  # (R)
    replaceable = [token for token in present.tokens if _may_be_wrong(token, source.literals)]  # (U)
    if not replaceable or not wanted:
        return
    rows = [range(owners[old.begin], owners[old.end - 1] + 1) for old in replaceable]
    attention = word_weights(weights, rows, [source.columns(new) for new in wanted])  # (U, R)
    for old, row in zip(replaceable, attention.tolist(), strict=True):
        for new, weight in zip(wanted, row, strict=True):
            if old.kind != new.kind or weight < _LEAST_ATTENTION:
                continue
            confidence = weight + _likeness(old.text, new.text)
            fits = _number_fits(old, new) if new.kind == "number" else _word_fits(old, new, present.line)
            if fits and confidence >= _LEAST_SUM:
                yield _Proposal(confidence, Edit(old.begin, old.end, _spelling(new, old, present.line)), new)


def _may_be_wrong(old: Token, wanted: Literals) -> bool:
    """Whether a literal of the text is not one of the source and contains none."""
    if old.quantity is not None:
        is_number = old.quantity.in_digits or (old.quantity.value or 0) > 1  # "seven", but not "once" or "a"
        return is_number and not old.quantity.readings & wanted.readings
    return old.kind == "word" and not any(count_word(word, old.text) for word in wanted.counts)


def _number_fits(old: Token, new: Token) -> bool:
    """Whether a number may replace another: months replace only months or digits, times only times or digits."""
    before, after = old.quantity, new.quantity
    if before is None or after is None or (before.kind == "ordinal" and not before.in_digits):
        return False
    if before.kind in ("month", "clock"):
        return before.kind == after.kind
    return after.kind not in ("month", "clock") or before.text.isdecimal()


def _word_fits(old: Token, new: Token, line: str) -> bool:
    """Whether a word may be a misspelling of another: it is similar and begins alike, or looks like a name."""
    same_start = old.text[0].casefold() == new.text[0].casefold()
    return (same_start and _likeness(old.text, new.text) >= _WORD_LIKENESS) or _is_name(old, line)


def _is_name(word: Token, line: str) -> bool:
    """Whether a word has digits, underscores, or capitals other than the first letter of a sentence."""
    text = word.text
    if len(text) == 1:
        return False
    before = line[: word.begin].rstrip()
    starts_sentence = not before or before[-1] in _SENTENCE_START
    rest = text[starts_sentence:]
    return rest != rest.lower() or any(not character.isalpha() for character in text.replace("-", ""))


def _spelling(new: Token, old: Token, line: str) -> str:
    """The text that replaces a literal, with exactly one full stop at the end of a sentence that had one."""
    if new.quantity is None:
        return new.text
    text = english_form(new.quantity, old.quantity)
    if line.startswith(".", old.end):
        return text.removesuffix(".")
    return text + "." if old.text.endswith(".") and not text.endswith(".") and old.end == len(line) else text


def _placements(
    token: Token, attention: Sequence[float], text: str, present: Literals, owners: Sequence[int]
) -> Iterator[_Proposal]:
    """Proposes places for an opaque literal, most confident first.

    attention (T,): of each piece to the literal; owners: the piece of each character of the text.
    """
    letters = r"\s*".join(re.escape(character) for character in token.text if not character.isspace())
    for found in re.finditer(letters, text):
        yield _Proposal(3.0, Edit(*found.span(), token.text), token)
    words = [(each.start(), each.end()) for each in _WORD.finditer(text)]
    if len(token.text) >= _SHORTEST:
        for first in range(len(words)):
            for last in range(first, min(first + _MOST_WORDS, len(words))):
                begin, end = _trimmed(text, words[first][0], words[last][1], token.text)
                likeness = _mangled_likeness(text[begin:end], token.text) if begin < end else 0.0
                if likeness >= _OPAQUE_LIKENESS and _mean(attention, owners[begin:end]) >= _LEAST_ATTENTION:
                    yield _Proposal(1 + likeness, Edit(begin, end, token.text), token)
    for other in present.of("opaque"):
        weight = _mean(attention, owners[other.begin : other.end])
        yield _Proposal(0.5 + weight / 2, Edit(_with_sigil(text, other.begin), other.end, token.text), token)
    # Insertions; the second and third are for literals whose first place is taken by another one.
    for confidence, place in ((0.0, _peak(text, owners, attention)), (-0.5, _end(text)), (-0.6, len(text))):
        yield _Proposal(confidence, Edit(place, place, token.text), token)


def _removals(present: Literals, wanted: Literals) -> Iterator[_Proposal]:
    """Proposes to remove placeholders that the text has more often than the source, last ones first."""
    count = present.counts.copy()
    for token in reversed(present.of("opaque")):
        if count[token.text] > wanted.counts[token.text] and _is_placeholder(token):
            count[token.text] -= 1
            yield _Proposal(-1.0, Edit(_with_sigil(present.line, token.begin), token.end, ""), None)


def _accepted(text: str, wanted: Literals, present: Literals, proposals: Sequence[_Proposal]) -> list[Edit]:
    """Returns the most confident edits that give the text more literals of the source and lose none."""
    edits: list[Edit] = []
    done: set[Token] = set()
    deficits = _deficits(wanted, present)
    for _, edit, token in sorted(proposals, key=lambda each: (-each.confidence, each.edit)):
        if token in done or any(edit.begin < each.end and each.begin < edit.end for each in edits):
            continue
        after = _deficits(wanted, Literals(edited(text, [*edits, edit])))
        helps = token is None or after[token.kind] < deficits[token.kind]
        if helps and after.total() < deficits.total() and all(after[kind] <= deficits[kind] for kind in after):
            edits.append(edit)
            deficits = after
            if token is not None:
                done.add(token)
    return edits


def _deficits(wanted: Literals, present: Literals) -> Counter[str]:
    """Number of missing literals of each kind, and of surplus placeholders."""
    missing = Counter(str(token.kind) for token in missing_literals(wanted, present))
    if any(token.kind == "opaque" for token in wanted.firm):
        missing["surplus"] = len(list(_removals(present, wanted)))
    return missing


def _copy(text: str, edit: Edit, owners: Sequence[int], pieces: int) -> Copy:
    begin = owners[edit.begin] if edit.begin < len(owners) else pieces
    end = owners[edit.end - 1] + 1 if edit.end > edit.begin else begin
    return Copy(begin, end, text[edit.begin : edit.end], edit.copied)


def _with_sigil(text: str, begin: int) -> int:
    """Includes stray % and $ before a placeholder, which would change the meaning of its replacement."""
    while begin and text[begin - 1] in "%$":
        begin -= 1
    return begin


def _is_placeholder(token: Token) -> bool:
    return any(span.kind == "placeholder" for span in opaque_spans(token.text))


def _peak(text: str, owners: Sequence[int], attention: Sequence[float]) -> int:
    """Returns the start of the word with the highest attention to the literal, or the end of the sentence."""
    best = max(range(len(attention)), key=lambda piece: attention[piece])
    place = next((i for i, owner in enumerate(owners) if owner >= best and not text[i].isspace()), None)
    if place is None:
        return _end(text)
    return place if text[place] in ".!?,;:" else text.rfind(" ", 0, place) + 1


def _end(text: str) -> int:
    """Returns the end of the last word of a sentence."""
    return len(text.rstrip(".!?。\"'”"))


def _trimmed(text: str, begin: int, end: int, literal: str) -> tuple[int, int]:
    """Excludes punctuation at the ends of a range that the literal does not have."""
    while begin < end and text[begin] in _PUNCTUATION and text[begin] != literal[0]:
        begin += 1
    while begin < end and text[end - 1] in _PUNCTUATION and text[end - 1] != literal[-1]:
        end -= 1
    return begin, end


def _mean(attention: Sequence[float], pieces: Sequence[int]) -> float:
    unique = set(pieces)
    return sum(attention[piece] for piece in unique) / len(unique)


def _likeness(one: str, other: str, least: float = 0.0) -> float:
    """Share of characters that two texts have in common, in order and ignoring case (difflib's ratio).

    Returns 0 if it is below `least`, which is faster.
    """
    matcher = SequenceMatcher(None, one.casefold(), other.casefold(), autojunk=False)
    return matcher.ratio() if matcher.quick_ratio() >= least else 0.0


def _mangled_likeness(words: str, literal: str) -> float:
    """Likeness of words, without white space, to a literal; 0 if their lengths differ by more than a factor of 2."""
    words = "".join(words.split())
    return _likeness(words, literal, _OPAQUE_LIKENESS) if len(literal) / 2 <= len(words) <= 2 * len(literal) else 0.0
