"""The config reference, generated from the typed config."""

import ast
import inspect
from collections.abc import Iterator
from itertools import pairwise
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from kotrans.config.loading import section_of
from kotrans.config.schema import Config


def config_reference() -> str:
    """Returns a Markdown table of all settings: key, default, possible values, and description."""
    return "| key | default | values | description |\n| --- | --- | --- | --- |\n" + "".join(
        f"| `{key}` | {_default(field)} | {_values(field)} | {description} |\n"
        for key, field, description in _fields(Config, "")
    )


def _fields(section: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo, str]]:
    """Yields the key, the field and the description of each setting."""
    descriptions = _descriptions(section)
    for name, field in section.model_fields.items():
        inner = section_of(field.annotation)
        if inner is None or not _is_section(field.annotation):
            yield prefix + name, field, descriptions.get(name, "")
        if inner is not None:
            mark = "" if _is_section(field.annotation) else ".*" if get_origin(field.annotation) is dict else "[]"
            yield from _fields(inner, f"{prefix}{name}{mark}.")


def _descriptions(section: type[BaseModel]) -> dict[str, str]:
    """Returns the string below each field in the source code.

    pydantic would read them when the classes are created, which takes a tenth of a second at each start.
    """
    (definition,) = ast.parse(inspect.getsource(section)).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for field, below in pairwise(definition.body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            match below:
                case ast.Expr(ast.Constant(str(text))):
                    found[field.target.id] = " ".join(text.split()).replace("|", "\\|")
    return found


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = list(field.default) if isinstance(field.default, tuple) else field.default
    return f"`{yaml.safe_dump(default, default_flow_style=True).removesuffix('...' + chr(10)).strip()}`"


def _values(field: FieldInfo) -> str:
    return _kind(field.annotation) + "".join(_bound(bound) for bound in field.metadata)


def _bound(bound: object) -> str:
    match bound:
        case Ge(ge):
            return f", ≥ {ge:,}" if isinstance(ge, int) else f", ≥ {ge}"
        case Gt(gt):
            return f", > {gt}"
        case Le(le):
            return f", ≤ {le:,}" if isinstance(le, int) else f", ≤ {le}"
        case Lt(lt):
            return f", < {lt:,}" if isinstance(lt, int) else f", < {lt}"
    return ""


def _kind(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0]) + "".join(_bound(bound) for info in arguments[1:] for bound in info.metadata)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (Union, UnionType):
        return " or ".join(_kind(argument) for argument in arguments)
    if origin is tuple:
        return "list" if Ellipsis in arguments else f"list of {len(arguments)}: {_kind(arguments[0])}"
    if origin is dict:
        return "mapping"
    names = {NoneType: "null", int: "integer", float: "number", bool: "true, false", str: "text"}
    return names.get(annotation, "file" if annotation.__name__ == "Path" else "text")
