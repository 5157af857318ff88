"""YAML and `--set` in, a checked Config out; what is wrong is said with file, key and remedy."""

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

_IN_PLAIN_WORDS = {
    "model_type": "should be a section with settings of its own",
    "tuple_type": "should be a list",
    "too_short": "should not be empty",
    "string_pattern_mismatch": "should be letters, digits, `.`, `_` and `-` only, a letter or digit first",
}
_RETIRED = (("serve", "gather_ms"),)


Places = tuple[str, ...]  # section and key, as in section.key

# These are text whatever they look like: a config named 2024, a column `no`, a file 1.50.
_TEXT_KEYS = frozenset({"name", "source", "target", "path"})
_TEXT, _NULL, _MERGE = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "null", "merge"))
# YAML 1.1, which PyYAML reads, takes 4e-4 for text; YAML 1.2 does not.
_EXPONENT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)[eE][-+]?[0-9]+")


class _Loader(yaml.SafeLoader):
    """YAML for configs: keys and names are always text, and numbers may have an exponent as in YAML 1.2.

    A key that stands twice in a mapping is refused; YAML itself would drop the first without a word.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := [key for at, (key, _) in enumerate(node.value) if key.value in keys[:at]]:
            raise yaml.MarkedYAMLError(problem=f"{twice[0].value} stands here twice", problem_mark=twice[0].start_mark)
        for key, value in node.value:
            _read_as_text(key)
            if isinstance(key, yaml.ScalarNode) and key.value in _TEXT_KEYS:
                _read_as_text(value)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+.0123456789"))


def _read_as_text(node: yaml.Node) -> None:
    """Makes a scalar text, unless it is null or a merge key; of a list, each entry."""
    if isinstance(node, yaml.ScalarNode) and node.tag not in (_NULL, _MERGE):
        node.tag = _TEXT
    elif isinstance(node, yaml.SequenceNode):
        for entry in node.value:
            _read_as_text(entry)


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Reads a YAML config and applies `section.key=value` overrides, whose values are YAML too.

    Raises ConfigError naming the file or `--set`, the key, the problem and, for an unknown key, the nearest known one.
    """
    values = read_yaml(path)
    values.setdefault("name", _name_of(path))
    return _checked(values, str(path), overrides)


def override_config(config: Config, overrides: Sequence[str]) -> Config:
    """The config with `section.key=value` overrides applied. Raises ConfigError as `load_config` does."""
    return _checked(config.model_dump(mode="json"), f"config {config.name}", overrides)


def check_overrides(overrides: Sequence[str]) -> None:
    """Raises ConfigError if an override names no setting, or has a value that the setting never takes.

    It needs no config, so that a typing mistake is told before anything is read or made.
    """
    values: dict[str, Any] = {"name": "any", "corpora": [{"name": "any"}]}
    given = [_override(values, override) for override in overrides]
    try:
        Config.model_validate(values)
    except ValidationError as error:
        if wrong := [f"--set {message}" for of_override, message in _problems(error, given) if of_override]:
            raise ConfigError("; ".join(wrong)) from None


def check_config(values: Mapping[str, Any], where: str) -> Config:
    """A Config from plain values; `where` begins every message."""
    return _checked(dict(values), where, ())


def _checked(values: dict[str, Any], where: str, overrides: Sequence[str]) -> Config:
    """Returns a Config of plain values and overrides. Errors name the override that causes them, otherwise `where`."""
    given = [_override(values, override) for override in overrides]
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        problems = _problems(error, given)
        told = [f"--set {message}" if of_override else f"{where}: {message}" for of_override, message in problems]
        raise ConfigError("; ".join(told)) from None


def _name_of(path: Path) -> str:
    """The name of a config that has none in it: its file's, without what cannot be in a run's name."""
    stem = unicodedata.normalize("NFC", path.stem)
    return re.sub(r"[^\w.-]+", "-", stem).strip("-._")[:80] or stem


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises ConfigError if it holds anything else."""
    return parse_yaml(read_bytes(path), path)


def parse_yaml(data: bytes, path: Path) -> dict[str, Any]:
    """The mapping in YAML that was read from `path`. Raises ConfigError if it is anything else.

    Settings that there were are left out.
    """
    text = decode(data, path)
    try:
        values = _Loader(text).get_single_data()
    except RecursionError:
        raise ConfigError(f"{path}: not a config (lists or mappings nested too deeply)") from None
    except (yaml.YAMLError, ValueError) as error:  # a ValueError of a date that there is not
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ConfigError(f"{where}: not valid YAML ({_yaml_problem(error)})") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: a config is a mapping of sections, but this is a {type(values).__name__}")
    return _without_retired(values)


def _problems(error: ValidationError, given: Sequence[Places]) -> Iterator[tuple[bool, str]]:
    """Whether each problem is one of a given override, and what it is."""
    problems = error.errors()
    for problem in problems:
        place = problem["loc"]
        if problem["type"] == "too_short" and any(
            each["loc"][: len(place)] == place != each["loc"] for each in problems
        ):
            continue  # a list whose entries are all refused is called empty besides
        places = tuple(str(part) for part in problem["loc"])
        inside = any(places[: len(each)] == each for each in given)
        # Of a section that there is not, it is the section that is refused; a value_error is about several settings.
        around = [each for each in given if each[: len(places)] == places and problem["type"] != "value_error"]
        unknown = problem["type"] == "extra_forbidden" and not inside
        yield inside or bool(around), _explain(problem, around[0] if around and unknown else places)


def _without_retired(values: Mapping[str, Any]) -> dict[str, Any]:
    """A file's values without settings that there were: an older run's config has them all, and it must still load."""
    kept = dict(values)
    for section, key in _RETIRED:
        if isinstance(inner := kept.get(section), dict):
            kept[section] = {name: value for name, value in inner.items() if name != key}
    return kept


def dump_config(config: Config) -> str:
    """The config as YAML with every default; `load_config` reads it back to the same value."""
    return _to_yaml(config.model_dump(mode="json"), sort_keys=False, width=120)


class _Dumper(yaml.SafeDumper):
    """Writes Hangul as it is, and escapes what YAML would read back as another character (U+0085 as a blank)."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _text)


def _to_yaml(value: object, **options: Any) -> str:
    return str(yaml.dump(value, Dumper=_Dumper, allow_unicode=True, **options))


def known_keys(section: type[BaseModel] = Config, prefix: str = "") -> Iterator[str]:
    """Every dotted key there is; keys inside lists and mappings of sections are named without an index."""
    for name, field in section.model_fields.items():
        yield prefix + name
        if inner := section_of(field.annotation):
            yield from known_keys(inner, f"{prefix}{name}.")


def section_of(annotation: Any) -> type[BaseModel] | None:
    """The section that a setting is, or is a list or mapping of; None for a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (tuple, dict, list, Union, UnionType):
        return next((s for a in get_args(annotation) if (s := section_of(a))), None)
    return None


def _yaml_problem(error: Exception) -> str:
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
    if getattr(error, "context", None) == "while scanning a double-quoted scalar" and "escape" in problem:
        problem += "; inside double quotes a backslash is an escape: use single quotes, or / between folders"
    return problem


def _override(values: dict[str, Any], override: str) -> Places:
    """Puts a value in, and gives its place."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {override}: write it as section.key=value, for example --set search.beam=5")
    *sections, last = places = tuple(key.strip().split("."))
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
    return places


def _explain(problem: Any, places: Places) -> str:
    key = ".".join(part for part in places if not part.isdigit())
    shown = ".".join(places) or "config"
    if problem["type"] == "extra_forbidden":
        near = _nearest(key)
        return f"{shown}: there is no such setting" + (f"; did you mean {near}?" if near else "")
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return f"{shown}: {message}" if places else message
    if problem["type"] == "missing":
        return f"{shown}: is missing; give it a value"
    message = _IN_PLAIN_WORDS.get(problem["type"], message).removeprefix("Input ")
    return f"{shown}: {message[0].lower()}{message[1:]}, but it is {_shown(problem['input'])}"


def _shown(value: object) -> str:
    """A value as YAML would have it, cut if it is long."""
    text = _to_yaml(value, default_flow_style=True, width=1000).removesuffix("...\n").strip()
    return text if len(text) <= 60 else f"{text[:60]}…"


def _nearest(key: str) -> str | None:
    """The known key of nearly the same name: one of the same section, else `beam` is found in search.beam."""
    section, _, name = key.rpartition(".")
    known = list(known_keys())
    for keys in ([near for near in known if near.rpartition(".")[0] == section], known):
        by_name = {near.rpartition(".")[2]: near for near in keys}
        if near := get_close_matches(name, by_name, n=1):
            return by_name[near[0]]
    return None
