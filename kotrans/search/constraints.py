"""What a translation must begin with, and terms that it must contain."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from kotrans.data.tokenizer import EOS

_WIDEST = 16  # hypotheses that constraints may ask for; bounds time and memory

Pieces = tuple[int, ...]


class Constraints(NamedTuple):
    """Target pieces that the translation of a sentence must have."""

    prefix: Pieces = ()
    """The first pieces."""
    terms: tuple[tuple[Pieces, ...], ...] = ()
    """Of each term its forms, one of which must occur. A form is a sequence of pieces and not empty."""
    inner: frozenset[int] = frozenset()
    """Pieces that continue a word, which must not follow a form: not `net` and `work` for the term `net`."""

    def beam(self, beam: int) -> int:
        """Returns the beam for the sentence: at least one hypothesis for each number of pieces that terms have."""
        return max(beam, min(sum(map(_shortest, self.terms)) + 1, _WIDEST) if self.terms else 1)


FREE = Constraints()


def _shortest(forms: Iterable[Pieces]) -> int:
    return min(map(len, forms))


@dataclass(frozen=True)
class Progress:
    """How much of the constraints a hypothesis has met."""

    constraints: Constraints
    length: int = 0
    """Pieces of the prefix that the hypothesis has."""
    met: frozenset[int] = frozenset()
    """Terms that it has."""
    term: int | None = None
    """The term of which it ends in a form, or in the beginning of one."""
    at: Pieces = ()
    """The pieces of that form."""

    @property
    def in_prefix(self) -> bool:
        """Whether the next piece is one of the prefix."""
        return self.length < len(self.constraints.prefix)

    @property
    def complete(self) -> bool:
        """Whether the hypothesis may end."""
        return not self.in_prefix and len(self.met) == len(self.constraints.terms)

    @property
    def pieces(self) -> int:
        """Number of pieces of terms that it has, which decides its bank."""
        terms = self.constraints.terms
        begun = min(len(self.at), _shortest(terms[self.term])) if self.is_begun and self.term is not None else 0
        return sum(_shortest(terms[term]) for term in self.met) + begun

    @property
    def is_begun(self) -> bool:
        """Whether it ends in the beginning of a term that it does not have yet."""
        return self.term is not None and self.term not in self.met

    def wanted(self) -> list[int]:
        """Returns the pieces that continue the prefix or a term, or EOS if nothing is missing.

        At least one is permitted, even if none of the most probable pieces is.
        """
        if self.in_prefix:
            return [self.constraints.prefix[self.length]]
        if self.complete:
            return [EOS]
        if self.is_begun:
            return self._continuing()
        return list(dict.fromkeys(form[0] for term in self._missing() for form in self.constraints.terms[term]))

    def permits(self, piece: int) -> bool:
        """Returns true if the hypothesis may continue with a piece.

        It may not leave the prefix, end without all terms, or continue the last word of a form, except to another form.
        """
        if self.in_prefix:
            return piece == self.constraints.prefix[self.length]
        if piece == EOS:
            return self.complete
        ends_in_form = self.term is not None and not self.is_begun
        return not ends_in_form or piece not in self.constraints.inner or piece in self._continuing()

    def after(self, piece: int) -> "Progress":
        """Returns the progress with one more piece. A form that is begun and not continued counts no longer."""
        moved = replace(self, length=self.length + 1) if self.in_prefix else self
        if self.term is not None and piece in self._continuing():
            return moved._with(self.term, (*self.at, piece))
        for term in self._missing():
            if any(form[0] == piece for form in self.constraints.terms[term]):
                return moved._with(term, (piece,))
        return replace(moved, term=None, at=())

    def _with(self, term: int, at: Pieces) -> "Progress":
        met = self.met | {term} if at in self.constraints.terms[term] else self.met
        return replace(self, met=met, term=term, at=at)

    def _continuing(self) -> list[int]:
        """Returns the pieces after `at` in the forms of the term."""
        assert self.term is not None
        size = len(self.at)
        forms = self.constraints.terms[self.term]
        return list(dict.fromkeys(form[size] for form in forms if form[:size] == self.at and len(form) > size))

    def _missing(self) -> Iterable[int]:
        return (term for term in range(len(self.constraints.terms)) if term not in self.met)


class Continuation(NamedTuple):
    """A hypothesis with one more piece."""

    row: int
    piece: int
    log_prob: float
    total: float
    """Log-probability of all its pieces."""
    progress: Progress


def fill_slots(continuations: Sequence[Continuation], slots: int) -> list[Continuation]:
    """Returns the continuations that fill the slots of a sentence, the most probable first.

    The slots are divided among the numbers of pieces of terms that hypotheses have ("banks"), and what a bank cannot
    fill goes to the most probable of the others: dynamic beam allocation (Post and Vilar 2018, section 3).
    """
    ranked = sorted(continuations, key=lambda each: (-each.total, each.row, each.piece))
    banks: dict[int, list[Continuation]] = {}
    for each in ranked:
        banks.setdefault(each.progress.pieces, []).append(each)
    share = max(1, slots // len(banks)) if banks else 0
    chosen: list[Continuation] = []
    for pieces in sorted(banks, reverse=True):  # the fullest bank first, if there are fewer slots than banks
        chosen += banks[pieces][: min(share, slots - len(chosen))]
    taken = {(each.row, each.piece) for each in chosen}
    rest = (each for each in ranked if (each.row, each.piece) not in taken)
    chosen += [each for each, _ in zip(rest, range(slots - len(chosen)), strict=False)]
    return sorted(chosen, key=lambda each: (-each.total, each.row, each.piece))
