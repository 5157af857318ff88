"""Literals of the source that a translation has misspelt or left out, put right.

A small model spells a rare name piece by piece, and often wrongly, but attends to it meanwhile. (Luong et al. 2015,
arXiv 1410.8206, copy what an unknown word attends to; with pieces nothing is unknown, only wrong.)

Shape key: T target pieces, S source pieces, U target literals, R source literals.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from torch import Tensor

from kotrans.config.schema import Copying
from kotrans.text.literals import Kind, Literals, Token, lost, times
from kotrans.text.quantities import written
from kotrans.text.subwords import owners_of, spelt
from kotrans.translation.copies import Copy, Edit, Placed, edited, insertion, likeness, places, surplus
from kotrans.translation.word_alignment import word_weights

KINDS: dict[Copying, frozenset[Kind]] = {
    "none": frozenset(),
    "opaque": frozenset(["opaque"]),
    "words": frozenset(["opaque", "word"]),
    "all": frozenset(["opaque", "word", "number"]),
}
"""What each value of `search.copying` copies."""
# What a literal or word has to have of the attention, and of attention and likeness together. Chosen by BLEU on dev.
_LOOKED = 0.1
_SURE = 0.3
_LIKE = 0.5  # of a lower-case word, which may be a right translation, with what replaces it
_INSERTED = 0.2  # the attention that a missing word needs to be put in beside a word that stays
_ENDS = frozenset(".!?:\"'“‘(")


class SourceLiterals:
    """The source of a translation: its pieces (S), and the literals that they spell."""

    def __init__(self, pieces: Sequence[str]) -> None:
        text, self._owners = spelt(pieces)
        self.literals = Literals(text)

    def columns(self, token: Token) -> range:
        """The pieces that spell a literal."""
        return range(self._owners[token.begin], self._owners[token.end - 1] + 1)


def copy_over(
    text: str, source: SourceLiterals, target: Sequence[str], weights: Tensor, copying: Copying = "all"
) -> tuple[str, list[Copy]]:
    """The text with literals of the source in the place of what misspells them, and what was copied, in order.

    text: the normalised text of the target pieces (T); weights (T, S). Copied is what the source has more often than
    the translation. A number replaces only a number, a word only one that is like it or looks like a name, both only
    if its pieces attend to it. Where there is none, a word is put in before the one that attends most to it; so is a
    placeholder, address or piece of code, however little that is. Each is used once, the surest pair first, and only if
    the translation then has more of its source than before.
    """
    there, kinds = source.literals, KINDS[copying]
    if not any(token.kind in kinds for token in there.firm):
        return text, []
    here = Literals(text)
    keys = {_identity(token) for token in lost(there, here)}
    missing = [token for token in there.firm if token.kind in kinds and _identity(token) in keys]  # whichever it is
    extra = list(surplus(here, there)) if any(token.kind == "opaque" for token in there.firm) else []
    owners = owners_of(text, target) if missing or extra else None
    if owners is None:
        return text, []  # nothing to do, or bytes that spell something odd
    found = [*_pairs(missing, source, here, owners, weights), *extra]
    for token in missing:
        if token.kind == "opaque":
            found += places(token, source.columns(token), text, here, owners, weights)
        elif token.kind == "word":
            found += insertion(token, source.columns(token), text, owners, weights, _INSERTED)
    edits = _accepted(text, there, here, found)
    copies = [_copy(text, edit, owners, len(target)) for edit in sorted(edits)]
    return edited(text, edits), copies


def _identity(token: Token) -> object:
    return (token.kind, token.quantity.readings if token.quantity else token.key)


def _pairs(
    missing: Sequence[Token], source: SourceLiterals, here: Literals, owners: Sequence[int], weights: Tensor
) -> Iterator[Placed]:
    """Which words and numbers may replace which."""
    wanted = [token for token in missing if token.kind != "opaque"]  # (R)
    over = [token for token in here.tokens if _may_be_wrong(token, source.literals)]  # (U)
    if not over or not wanted:
        return
    rows = [range(owners[said.begin], owners[said.end - 1] + 1) for said in over]
    looked = word_weights(weights, rows, [source.columns(each) for each in wanted])  # (U, R)
    for said, row in zip(over, looked.tolist(), strict=True):
        for each, weight in zip(wanted, row, strict=True):
            if said.kind != each.kind or weight < _LOOKED:
                continue
            like = likeness(said.text, each.text)
            fits = _number_fits if each.kind == "number" else _word_fits
            if fits(said, each, here.line) and weight + like >= _SURE:
                yield Placed(weight + like, Edit(said.begin, said.end, _writing(each, said, here.line)), each)


def _may_be_wrong(said: Token, there: Literals) -> bool:
    """Whether a literal of the translation is none of the source, and has none in it."""
    if said.quantity is not None:
        spoken = said.quantity.in_digits or (said.quantity.value or 0) > 1  # "seven", but not "once" or "a"
        return spoken and not said.quantity.readings & there.readings
    return said.kind == "word" and not any(times(word, said.text) for word in there.counts)


def _number_fits(said: Token, wanted: Token, line: str) -> bool:
    """Whether a number may replace another: a month only a month or digits, a time only a time or digits."""
    old, new = said.quantity, wanted.quantity
    if old is None or new is None or (old.kind == "ordinal" and not old.in_digits):
        return False
    if old.kind in ("month", "clock"):
        return old.kind == new.kind
    return new.kind not in ("month", "clock") or old.text.isdecimal()


def _word_fits(said: Token, wanted: Token, line: str) -> bool:
    """Whether a word may be a misspelling of another, which begins as it, or is a name or identifier by its look."""
    alike = said.text[0].casefold() == wanted.text[0].casefold() and likeness(said.text, wanted.text) >= _LIKE
    return alike or _is_name(said, line)


def _is_name(said: Token, line: str) -> bool:
    """Whether a word looks like a name or identifier: capitals but for the first of a sentence, digits, underscores."""
    word = said.text
    if len(word) == 1:
        return False
    before = line[: said.begin].rstrip()
    first = not before or before[-1] in _ENDS
    return word[first:] != word[first:].lower() or any(not character.isalpha() for character in word.replace("-", ""))


def _writing(wanted: Token, said: Token, line: str) -> str:
    """What replaces a literal, with no more and no fewer full stops at the end of a sentence than before."""
    if wanted.quantity is None:
        return wanted.text
    new = written(wanted.quantity, said.quantity)
    if line.startswith(".", said.end):
        return new.removesuffix(".")
    return new + "." if said.text.endswith(".") and not new.endswith(".") and said.end == len(line) else new


def _accepted(text: str, there: Literals, here: Literals, found: Sequence[Placed]) -> list[Edit]:
    """The surest edits of those that give the text more of its source, and lose nothing for it."""
    edits: list[Edit] = []
    done: set[Token] = set()
    now = _balance(there, here)
    for place in sorted(found, key=lambda each: (-each.sure, each.edit)):
        edit = place.edit
        if place.token in done or any(edit.begin < each.end and each.begin < edit.end for each in edits):
            continue
        then = _balance(there, Literals(edited(text, [*edits, edit])))
        helps = place.token is None or then[place.token.kind] < now[place.token.kind]
        if helps and then.total() < now.total() and all(then[kind] <= now[kind] for kind in then):
            edits.append(edit)
            now = then
            if place.token is not None:
                done.add(place.token)
    return edits


def _balance(there: Literals, here: Literals) -> Counter[str]:
    """How many literals of each kind a text lacks, and how many placeholders it has too often."""
    missing = Counter(str(token.kind) for token in lost(there, here))
    if any(token.kind == "opaque" for token in there.firm):
        missing["surplus"] = len(list(surplus(here, there)))
    return missing


def _copy(text: str, edit: Edit, owners: Sequence[int], pieces: int) -> Copy:
    begin = owners[edit.begin] if edit.begin < len(owners) else pieces
    end = owners[edit.end - 1] + 1 if edit.end > edit.begin else begin
    return Copy(begin, end, text[edit.begin : edit.end], edit.copied)
