"""A glossary: how terms of the source must be translated."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Self

from kotrans.errors import DataError
from kotrans.storage.files import content_key, read_lines
from kotrans.text.normalization import has_hangul, normalize

# Particles and forms of the copula, which may follow a noun, also several of them: 함수들에서는, 모델이었습니다.
_PARTICLE = (
    "들|은|는|이|가|을|를|의|에|에서|에게|께|께서|한테|으로|로|으로서|로서|으로써|로써|와|과|랑|이랑|하고|도|만|까지|부터|마저|조차|처럼|같이|"
    "보다|마다|밖에|이나|나|이라|라|이라고|라고|이라는|라는|이란|란|이든|든|이며|며|이고|고|이면|면|이자|인|일|임|이다|다|입니다|이에요|예요|"
    "이었다|였다|이었습니다|였습니다|이지만|지만|인지|인데|이므로|므로|이니|니|여|야|아|별|간|용|식|적|적인|적으로|화|형"
)
_VERBAL = "(?:하|한|할|함|합|해|했|되|된|될|됨|됩|돼|됐|시키|시켜|시킨|시킬)[가-힣]{0,6}"
_AFTER_NOUN = rf"(?:(?:{_PARTICLE}){{0,4}}|{_VERBAL})(?![가-힣])"
# The dictionary form of a verb matches its conjugated forms: 학습하다, 학습하는, 학습했습니다.
_VERB = re.compile(r"(.+)(하다|되다)")
_FORMS = {"하다": "(?:하|한|할|함|합|해|했)", "되다": "(?:되|된|될|됨|됩|돼|됐)"}
# The English plural: layers, classes, matches, entropies.
_ENDING = re.compile(r"(?:s|x|z|ch|sh|[^aeiou]y|.)$")
_PLURALS = {"s": "ses", "x": "xes", "z": "zes", "ch": "ches", "sh": "shes"}


class Term(NamedTuple):
    """An entry of a glossary."""

    source: str
    target: str

    @property
    def forms(self) -> list[str]:
        """The translation as it is, at the beginning of a sentence, and in the plural."""
        words = [self.target, f"{self.target[:1].upper()}{self.target[1:]}"]
        plural = _ENDING.sub(_plural_ending, self.target)
        return list(dict.fromkeys([*words, plural, f"{plural[:1].upper()}{plural[1:]}"]))


class TermSurvival(NamedTuple):
    """How many terms of a glossary translations have."""

    terms: int
    """Those of all sources."""
    kept: int


class Glossary:
    """Terms with their translations."""

    def __init__(self, targets: Mapping[str, str]) -> None:
        """targets: normalized translations by normalized source term; use `of` or `load`."""
        self._targets = dict(targets)

    @classmethod
    def of(cls, terms: Mapping[str, str]) -> Self:
        """Returns the glossary of translations by source term. Raises DataError if one is blank."""
        targets = {normalize(source): normalize(target) for source, target in terms.items()}
        if blank := next((source for source, target in targets.items() if not source or not target), None):
            raise DataError(f"{blank!r} has no translation")
        if "" in targets:
            raise DataError("a term is blank")
        return cls(targets)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a file with a source term, a tab and its translation in each line; `#` begins a comment.

        Raises DataError naming file and line if a line has another form or a term occurs twice.
        """
        targets: dict[str, str] = {}
        for number, line in enumerate(read_lines(path), 1):
            if not line.strip() or line.startswith("#"):
                continue
            parts = [normalize(part) for part in line.split("\t")]
            if len(parts) != 2 or not all(parts):
                raise DataError(f"{path}:{number}: needs a source term, one tab, and its translation")
            source, target = parts
            if source in targets:
                raise DataError(f"{path}:{number}: {source!r} has a translation already ({targets[source]!r})")
            targets[source] = target
        return cls(targets)

    @cached_property
    def key(self) -> str:
        """Hash of the terms."""
        return content_key(self._targets)

    def find(self, sentence: str) -> list[Term]:
        """Returns the terms that occur in a normalized sentence, each once, in order; the longest one at each place."""
        found = {term.source: term for term in self._found(sentence)}
        return list(found.values())

    def survival(self, sources: Iterable[str], translations: Iterable[str]) -> "TermSurvival":
        """Counts the terms of the sources, and those that their translations have in one of their forms."""
        terms = kept = 0
        for source, translation in zip(sources, translations, strict=True):
            for term in self.find(normalize(source)):
                terms += 1
                kept += any(re.search(rf"\b{re.escape(form)}\b", translation) for form in term.forms)
        return TermSurvival(terms, kept)

    def _found(self, sentence: str) -> Iterator[Term]:
        """Yields terms that begin at the beginning of a word."""
        end = 0
        for begin in self._word_begins(sentence):
            if begin < end:
                continue
            for source in self._candidates(sentence[begin:]):
                if match := _pattern(source).match(sentence, begin):
                    yield Term(source, self._targets[source])
                    end = match.end("term")
                    break

    def _word_begins(self, sentence: str) -> Iterator[int]:
        yield from (0,) if sentence else ()
        for i, (before, here) in enumerate(pairwise(sentence), 1):
            if not here.isspace() and (not before.isalnum() or has_hangul(before) != has_hangul(here)):
                yield i

    def _candidates(self, rest: str) -> list[str]:
        """Returns the terms whose first characters begin a text, the longest first."""
        found = (source for length in self._lengths for source in self._by_stem.get(rest[:length].casefold(), ()))
        return sorted(found, key=len, reverse=True)

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        stems: dict[str, list[str]] = {}
        for source in self._targets:
            stems.setdefault(_stem(source).casefold(), []).append(source)
        return stems

    @cached_property
    def _lengths(self) -> list[int]:
        return sorted({len(stem) for stem in self._by_stem}, reverse=True)


def _plural_ending(ending: re.Match[str]) -> str:
    if len(ending[0]) == 2 and ending[0][1] == "y":
        return f"{ending[0][0]}ies"
    return _PLURALS.get(ending[0], f"{ending[0]}s")


def _stem(source: str) -> str:
    verb = _VERB.fullmatch(source)
    return verb[1] if verb else source


def _pattern(source: str) -> re.Pattern[str]:
    """Returns the pattern of a term and what may follow it in its word."""
    if verb := _VERB.fullmatch(source):
        return re.compile(rf"(?P<term>{re.escape(verb[1])} ?{_FORMS[verb[2]]})", re.IGNORECASE)
    after = _AFTER_NOUN if has_hangul(source[-1]) else rf"(?![A-Za-z0-9_]){_AFTER_NOUN}"
    return re.compile(rf"(?P<term>{re.escape(source)}){after}", re.IGNORECASE)
