"""Objects with named fields: JSON Lines, and JSON as distributed by AI-Hub."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kotrans.config.sections import Fields
from kotrans.data.formats.json_text import read_elements
from kotrans.data.formats.pairs import Pair, Skipped, no_such_fields, one_line_each, text_of
from kotrans.data.formats.text_lines import beginning, text_lines
from kotrans.errors import DataError


def read_jsonl(path: Path, fields: Fields, skipped: Skipped) -> Iterator[Pair]:
    """Reads one object per line and skips blank lines; a file that is one list or object is read as `json`."""
    return (_read_lists if _is_one_value(beginning(path)) else _read_lines)(path, fields, skipped)


def read_json(path: Path, fields: Fields, skipped: Skipped) -> Iterator[Pair]:
    """Reads a list of objects, or an object with one such list (`data` in AI-Hub's files); also reads JSON Lines."""
    return (_read_lines if _is_lines(beginning(path)) else _read_lists)(path, fields, skipped)


def _read_lines(path: Path, fields: Fields, skipped: Skipped) -> Iterator[Pair]:
    for number, line in enumerate(text_lines(path, skipped), 1):
        if line is None or not line.strip("\ufeff \t\r"):
            continue
        try:
            record = json.loads(line.lstrip("\ufeff"))
        except json.JSONDecodeError as error:
            skipped.reject("syntax", f"{path}:{number}", f"not valid JSON ({error.msg})")
        except (RecursionError, ValueError) as error:
            skipped.reject("syntax", f"{path}:{number}", f"JSON that cannot be read ({error})")
        else:
            if pair := record_pair(record, fields, f"{path}:{number}", skipped):
                yield pair


def _read_lists(path: Path, fields: Fields, skipped: Skipped) -> Iterator[Pair]:
    name = _list_name(path)
    for element in read_elements(path):
        if element.list != name or not element.number:
            continue
        where = f"{path}:{element.line}"
        if element.problem:
            skipped.reject("syntax", where, element.problem)
        elif pair := record_pair(element.value, fields, where, skipped):
            yield pair


def _list_name(path: Path) -> str:
    """Returns the name of the list with the pairs; "" for a top-level list."""
    names = []
    for element in read_elements(path):
        if element.number == 0:
            names.append(element.list)
        if names == [""] or "data" in names:
            return names[-1]
    if len(names) != 1:
        found = f"{len(names)} lists ({', '.join(names)})" if names else "none"
        raise DataError(f"{path}: needs a list of objects, at the top or as `data` in one object, but has {found}")
    return names[0]


def _is_lines(head: str) -> bool:
    """Returns true if the beginning of a file is an object on its first line followed by another one."""
    first, _, rest = head.lstrip("\ufeff \t\r\n").partition("\n")
    return isinstance(_value(first), dict) and rest.lstrip("\ufeff \t\r\n").startswith("{")


def _is_one_value(head: str) -> bool:
    """Returns true if the beginning of a file is a list, or an object over several lines or with a list of objects."""
    first, _, rest = head.lstrip("\ufeff \t\r\n").partition("\n")
    first = first.rstrip()
    if first.startswith("["):
        return not isinstance(_value(first), list) or not rest.strip()
    if first.startswith("{") and first[-1] in "{[,":
        return _value(first) is None
    value = _value(first)
    lists = [inner for inner in value.values() if isinstance(inner, list)] if isinstance(value, dict) else []
    return not rest.strip() and any(isinstance(element, dict) for inner in lists for element in inner)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (RecursionError, ValueError):
        return None


def record_pair(record: Any, fields: Fields, where: str, skipped: Skipped) -> Pair | None:
    """Returns the two fields; counts the record and returns None if one is missing or not text."""
    if not isinstance(record, dict):
        skipped.reject("fields", where, f"is {_describe(record)}, not an object with named fields")
        return None
    found = [_lookup(record, name) for name in (fields.source, fields.target)]
    if not all(found):
        missing = [name for name, values in zip((fields.source, fields.target), found, strict=True) if not values]
        skipped.reject("fields", where, no_such_fields(missing, list(record), _nested(record, fields)))
        return None
    source, target = (text_of(values[0]) for values in found)
    if source is None or target is None:
        name, value = (fields.source, found[0][0]) if source is None else (fields.target, found[1][0])
        skipped.reject("not_text", where, f"{name}: is {_describe(value)}, not text; name a field that holds text")
        return None
    return one_line_each(source, target)


def _lookup(record: dict[str, Any], name: str) -> list[Any]:
    """Returns [value] or []; `translation.ko` is `ko` inside `translation`, unless a field has that whole name."""
    if name in record:
        return [record[name]]
    outer, dot, inner = name.partition(".")
    nested = record.get(outer)
    return _lookup(nested, inner) if dot and isinstance(nested, dict) else []


def _nested(record: dict[str, Any], fields: Fields) -> Fields | None:
    """Returns the full names of the fields if they are in an object inside the record."""
    for outer, inner in record.items():
        if isinstance(inner, dict) and fields.source in inner and fields.target in inner:
            return Fields(source=f"{outer}.{fields.source}", target=f"{outer}.{fields.target}")
    return None


def _describe(value: object) -> str:
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    return "text" if isinstance(value, str) else json.dumps(value)
