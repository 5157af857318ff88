"""Objects with named fields: JSON Lines, and JSON as AI-Hub has it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kotrans.config.sections import Fields
from kotrans.corpus.formats.json_text import read_elements
from kotrans.corpus.formats.pairs import Pair, cell_text, missing_field, one_line_each
from kotrans.errors import DataError
from kotrans.files import stream_lines


def read_jsonl(path: Path, fields: Fields) -> Iterator[Pair]:
    """One object a line; blank lines are passed over."""
    for number, line in enumerate(stream_lines(path), 1):
        if line.strip():
            yield _pair(_parse(line, path, number), fields, path, number, f"{path}:{number}")


def read_json(path: Path, fields: Fields) -> Iterator[Pair]:
    """A list of objects, or an object with one such list in it (AI-Hub calls it `data`)."""
    name = _list_name(path)
    for element in read_elements(path):
        if element.list == name and element.number:
            yield _pair(element.value, fields, path, None, f"{path}: object {element.number}")


def _parse(text: str, path: Path, line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{line + error.lineno - 1}: not valid JSON ({error.msg})") from None
    except (RecursionError, ValueError) as error:
        raise DataError(f"{path}:{line}: JSON that cannot be read ({error})") from None


def _list_name(path: Path) -> str:
    """Which list of a JSON file holds the pairs; "" if it is the file."""
    names = []
    for element in read_elements(path):
        if element.number == 0:
            names.append(element.list)
        if names == [""] or "data" in names:
            return names[-1]
    if len(names) != 1:
        shown = f"{len(names)} lists ({', '.join(names)})" if names else "none"
        raise DataError(f"{path}: needs a list of objects, at the top or as `data` in one object, but has {shown}")
    return names[0]


def _pair(record: Any, fields: Fields, path: Path, line: int | None, where: str) -> Pair:
    if not isinstance(record, dict):
        raise DataError(f"{where}: is a {type(record).__name__}, not an object with named fields")
    found = {name: _lookup(record, name) for name in (fields.source, fields.target)}
    if missing := [name for name, values in found.items() if not values]:
        raise missing_field(Path(where) if line is None else path, line, missing, list(record))
    source, target = found[fields.source][0], found[fields.target][0]
    return one_line_each(cell_text(source, f"{where}: {fields.source}"), cell_text(target, f"{where}: {fields.target}"))


def _lookup(record: dict[str, Any], name: str) -> list[Any]:
    """The field in a list, or nothing; `translation.ko` is `ko` inside `translation`, unless it is a name itself."""
    if name in record:
        return [record[name]]
    outer, dot, inner = name.partition(".")
    nested = record.get(outer)
    return _lookup(nested, inner) if dot and isinstance(nested, dict) else []
