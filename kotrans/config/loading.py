"""Loading of a config from YAML and `--set` overrides, with error messages that name file, key and remedy."""

import re
import unicodedata
from collections.abc import Hashable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from kotrans.config.schema import Config
from kotrans.errors import ConfigError
from kotrans.storage.files import decode, read_bytes

_MESSAGES = {
    "model_type": "should be a section of settings",
    "tuple_type": "should be a list",
    "too_short": "should not be empty",
    "string_pattern_mismatch": "should be letters, digits, `.`, `_` and `-` only, a letter or digit first",
}
_RETIRED = (("serve", "gather_ms"),)

# Values of these keys are always text: a config named 2024, a column `no`, a file 1.50.
_TEXT_KEYS = frozenset({"name", "source", "target", "path"})
_TEXT, _NULL, _MERGE = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "null", "merge"))
# PyYAML implements YAML 1.1, where 4e-4 is text; in YAML 1.2 it is a number.
_EXPONENT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)[eE][-+]?[0-9]+")

_Key = tuple[str, ...]  # the parts of section.key


class _Loader(yaml.SafeLoader):
    """YAML loader for configs: keys and names are text, numbers may have exponents, and duplicate keys are errors."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if duplicates := [key for i, (key, _) in enumerate(node.value) if key.value in keys[:i]]:
            mark = duplicates[0].start_mark
            raise yaml.MarkedYAMLError(problem=f"duplicate key {duplicates[0].value}", problem_mark=mark)
        for key, value in node.value:
            _read_as_text(key)
            if isinstance(key, yaml.ScalarNode) and key.value in _TEXT_KEYS:
                _read_as_text(value)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+.0123456789"))


def _read_as_text(node: yaml.Node) -> None:
    """Makes a scalar, or each entry of a list, text, unless it is null or a merge key."""
    if isinstance(node, yaml.ScalarNode) and node.tag not in (_NULL, _MERGE):
        node.tag = _TEXT
    elif isinstance(node, yaml.SequenceNode):
        for entry in node.value:
            _read_as_text(entry)


class _Dumper(yaml.SafeDumper):
    """YAML dumper that writes Hangul unescaped, and escapes what YAML would read back differently (U+0085)."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(_TEXT, text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _represent_text)


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Loads a YAML config and applies `section.key=value` overrides, whose values are YAML.

    Raises ConfigError naming the file or `--set`, the key, the problem and, for an unknown key, the most similar one.
    """
    values = read_yaml(path)
    values.setdefault("name", _name_of(path))
    return check_config(values, str(path), overrides)


def override_config(config: Config, overrides: Sequence[str]) -> Config:
    """Returns the config with `section.key=value` overrides applied. Raises ConfigError as `load_config` does."""
    return check_config(config.model_dump(mode="json"), f"config {config.name}", overrides)


def check_overrides(overrides: Sequence[str]) -> None:
    """Raises ConfigError if an override has an unknown key, or a value that is invalid in every config.

    It finds typing errors before a config is loaded.
    """
    values: dict[str, Any] = {"name": "any", "corpora": [{"name": "any"}]}
    keys = [_override(values, override) for override in overrides]
    try:
        Config.model_validate(values)
    except ValidationError as error:
        if wrong := [f"--set {message}" for of_override, message in _problems(error, keys) if of_override]:
            raise ConfigError("; ".join(wrong)) from None


def check_config(values: Mapping[str, Any], where: str, overrides: Sequence[str] = ()) -> Config:
    """Returns a Config of plain values and overrides.

    Error messages begin with `--set` if an override causes the error, otherwise with `where`.
    """
    values = dict(values)
    keys = [_override(values, override) for override in overrides]
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        messages = [
            f"{'--set ' if of_override else f'{where}: '}{message}" for of_override, message in _problems(error, keys)
        ]
        raise ConfigError("; ".join(messages)) from None


def read_yaml(path: Path) -> dict[str, Any]:
    """Returns the mapping in a YAML file. Raises ConfigError if the file contains anything else."""
    return parse_yaml(read_bytes(path), path)


def parse_yaml(data: bytes, path: Path) -> dict[str, Any]:
    """Returns the mapping in YAML that was read from `path`, without retired settings.

    Raises ConfigError if it is anything else.
    """
    text = decode(data, path)
    try:
        values = _Loader(text).get_single_data()
    except RecursionError:
        raise ConfigError(f"{path}: not a config (lists or mappings nested too deeply)") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError for impossible dates such as 2024-13-01
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ConfigError(f"{where}: not valid YAML ({_yaml_problem(error)})") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: a config is a mapping of sections, but this is a {type(values).__name__}")
    for section, key in _RETIRED:  # the configs of older runs contain them
        if isinstance(settings := values.get(section), dict):
            settings.pop(key, None)
    return values


def dump_config(config: Config) -> str:
    """Returns the config as YAML with all defaults, which `load_config` reads back to an equal value."""
    return _to_yaml(config.model_dump(mode="json"), sort_keys=False, width=120)


def known_keys(section: type[BaseModel] = Config, prefix: str = "") -> Iterator[str]:
    """Yields all dotted keys. Keys of sections in lists and mappings are named without an index."""
    for name, field in section.model_fields.items():
        yield prefix + name
        if inner := section_of(field.annotation):
            yield from known_keys(inner, f"{prefix}{name}.")


def section_of(annotation: Any) -> type[BaseModel] | None:
    """Returns the section class of a setting that is a section, or a list or mapping of sections; None for others."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (tuple, dict, list, Union, UnionType):
        return next((s for a in get_args(annotation) if (s := section_of(a))), None)
    return None


def _name_of(path: Path) -> str:
    """Returns the default name of a config: the file name without characters that a run's name cannot have."""
    stem = unicodedata.normalize("NFC", path.stem)
    return re.sub(r"[^\w.-]+", "-", stem).strip("-._")[:80] or stem


def _to_yaml(value: object, **options: Any) -> str:
    return str(yaml.dump(value, Dumper=_Dumper, allow_unicode=True, **options))


def _override(values: dict[str, Any], override: str) -> _Key:
    """Applies an override to plain values. Returns its key."""
    dotted, equals, text = override.partition("=")
    if not equals or not dotted:
        raise ConfigError(f"--set {override}: write it as section.key=value, for example --set search.beam=5")
    *sections, last = key = tuple(dotted.strip().split("."))
    try:
        loader = _Loader(text)
        if (node := loader.get_single_node()) is not None and last in _TEXT_KEYS:
            _read_as_text(node)
        value = None if node is None else loader.construct_document(node)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"--set {override}: the value is not valid YAML ({_yaml_problem(error)}); quote it") from None
    for section in sections:
        values[section] = {} if values.get(section) is None else values[section]
        values = values[section]
        if not isinstance(values, dict):
            raise ConfigError(f"--set {override}: {section} is not a section; change it in the YAML file")
    values[last] = value
    return key


def _yaml_problem(error: Exception) -> str:
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
    if getattr(error, "context", None) == "while scanning a double-quoted scalar" and "escape" in problem:
        problem += "; in double quotes a backslash begins an escape: use single quotes, or / between folders"
    return problem


def _problems(error: ValidationError, overridden: Sequence[_Key]) -> Iterator[tuple[bool, str]]:
    """Yields whether each problem is caused by an override, and its message."""
    problems = error.errors()
    for problem in problems:
        location = problem["loc"]
        if problem["type"] == "too_short" and any(
            other["loc"][: len(location)] == location != other["loc"] for other in problems
        ):
            continue  # a list whose entries are all invalid is also reported as empty
        key = tuple(str(part) for part in location)
        is_inside = any(key[: len(each)] == each for each in overridden)
        # An override of a key in an unknown section is reported for the section; value errors concern several settings.
        around = [each for each in overridden if each[: len(key)] == key and problem["type"] != "value_error"]
        unknown = problem["type"] == "extra_forbidden" and not is_inside
        yield is_inside or bool(around), _message(problem, around[0] if around and unknown else key)


def _message(problem: Any, key: _Key) -> str:
    shown = ".".join(key) or "config"
    if problem["type"] == "extra_forbidden":
        similar = _similar_key(".".join(part for part in key if not part.isdigit()))
        return f"{shown}: unknown setting" + (f"; did you mean {similar}?" if similar else "")
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return f"{shown}: {message}" if key else message
    if problem["type"] == "missing":
        return f"{shown}: is missing; set it"
    message = _MESSAGES.get(problem["type"], message).removeprefix("Input ")
    return f"{shown}: {message[0].lower()}{message[1:]}, but it is {_shortened(problem['input'])}"


def _shortened(value: object) -> str:
    """Returns a value as YAML of at most 60 characters."""
    text = _to_yaml(value, default_flow_style=True, width=1000).removesuffix("...\n").strip()
    return text if len(text) <= 60 else f"{text[:60]}…"


def _similar_key(key: str) -> str | None:
    """Returns the known key with the most similar name, preferably of the same section: search.beam for `beem`."""
    section, _, name = key.rpartition(".")
    known = list(known_keys())
    for keys in ([other for other in known if other.rpartition(".")[0] == section], known):
        by_name = {other.rpartition(".")[2]: other for other in keys}
        if similar := get_close_matches(name, by_name, n=1):
            return by_name[similar[0]]
    return None
