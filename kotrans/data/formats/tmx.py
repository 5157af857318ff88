"""Translation memories (TMX 1.4b and older)."""

from collections.abc import Iterator
from pathlib import Path

from kotrans.config.sections import Fields
from kotrans.data.formats.pairs import Pair, no_such_fields, one_line_each
from kotrans.data.formats.skipped import Skipped
from kotrans.data.formats.tmx_units import read_units
from kotrans.errors import DataError

_THREE_LETTERS = {"kor": "ko", "eng": "en"}


def read_tmx(path: Path, fields: Fields, skipped: Skipped) -> Iterator[Pair]:
    """Units that have both languages; `ko` also finds ko-KR and kor, and ko-KR also ko. Formatting codes are left out.

    A unit that is not valid XML costs that unit; a file that declares entities is refused.
    """
    languages: set[str] = set()
    pairs = 0
    for unit in read_units(path, skipped):
        texts: dict[str, str] = {}
        for language, text in unit.texts:
            texts.setdefault(_code(language), text)
        languages.update(texts)
        source, target = _of(texts, fields.source), _of(texts, fields.target)
        if source is not None and target is not None:
            pairs += 1
            yield one_line_each(source, target)
        elif unit.without_segment:
            skipped.reject("fields", f"{path}:{unit.line}", "a <tuv> without a <seg>, which is where the text must be")
        else:
            skipped.pass_over("languages")
    if languages and not pairs:
        names = [fields.source, fields.target]
        absent = [name for name in names if _of(dict.fromkeys(languages, ""), name) is None]
        raise DataError(f"{path}: {no_such_fields(absent or names, sorted(languages))}")


def _of(texts: dict[str, str], language: str) -> str | None:
    """The text in a language: of that very code, else of it with a region, else of it without its region."""
    wanted = _code(language)
    if wanted in texts:
        return texts[wanted]
    for code, text in texts.items():
        if code.startswith(f"{wanted}-"):
            return text
    return texts.get(wanted.split("-")[0])


def _code(language: str) -> str:
    """A language code in lower case with hyphens, and Korean and English with two letters."""
    first, hyphen, rest = language.strip().lower().replace("_", "-").partition("-")
    return _THREE_LETTERS.get(first, first) + hyphen + rest
