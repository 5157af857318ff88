"""YAML and `--set` in, a checked Config out; what is wrong is said with file, key and remedy."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from kotrans.config.config import Config
from kotrans.errors import ConfigError
from kotrans.files import decode, read_bytes

_IN_PLAIN_WORDS = {
    "model_type": "should be a section with settings of its own",
    "tuple_type": "should be a list",
    "too_short": "should not be empty",
    "string_pattern_mismatch": "should be letters, digits, `.`, `_` and `-` only, a letter or digit first",
}
_RETIRED = (("serve", "gather_ms"),)


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in a mapping, of which YAML itself would drop the first without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := [key for at, (key, _) in enumerate(node.value) if key.value in keys[:at]]:
            raise yaml.MarkedYAMLError(problem=f"{twice[0].value} stands here twice", problem_mark=twice[0].start_mark)
        return super().construct_mapping(node, deep)


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Reads a YAML config and applies `section.key=value` overrides, whose values are YAML too.

    Raises ConfigError naming the file, the key, the problem and, for an unknown key, the nearest known one.
    """
    values = read_yaml(path)
    values.setdefault("name", path.stem)
    for override in overrides:
        _override(values, override)
    return check_config(values, str(path))


def override_config(config: Config, overrides: Sequence[str]) -> Config:
    """The config with `section.key=value` overrides applied. Raises ConfigError as `load_config` does."""
    values = config.model_dump(mode="json")
    for override in overrides:
        _override(values, override)
    return check_config(values, f"config {config.name}")


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
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or error
        raise ConfigError(f"{where}: not valid YAML ({problem})") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: a config is a mapping of sections, but this is a {type(values).__name__}")
    return _without_retired(values)


def check_config(values: Mapping[str, Any], where: str) -> Config:
    """A Config from plain values; `where` begins every message."""
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        problems = error.errors()
        # A list whose entries are all refused is called empty besides.
        refused = {problem["loc"][:-2] for problem in problems}
        told = [each for each in problems if each["type"] != "too_short" or each["loc"] not in refused]
        raise ConfigError("; ".join(_explain(problem, where) for problem in told)) from None


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


def _override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {override}: write it as section.key=value, for example --set search.beam=5")
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ConfigError(f"--set {override}: the value is not valid YAML; quote it") from None
    *sections, last = key.strip().split(".")
    for section in sections:
        values[section] = {} if values.get(section) is None else values[section]
        values = values[section]
        if not isinstance(values, dict):
            raise ConfigError(f"--set {override}: {section} is not a section; change it in the YAML file")
    values[last] = value


def _explain(problem: Any, where: str) -> str:
    places = [str(part) for part in problem["loc"]]
    key = ".".join(part for part in places if not part.isdigit())
    shown = ".".join(places) or "config"
    if problem["type"] == "extra_forbidden":
        near = _nearest(key)
        return f"{where}: {shown}: there is no such setting" + (f"; did you mean {near}?" if near else "")
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return f"{where}: {shown}: {message}" if places else f"{where}: {message}"
    if problem["type"] == "missing":
        return f"{where}: {shown}: is missing; give it a value"
    message = _IN_PLAIN_WORDS.get(problem["type"], message).removeprefix("Input ")
    return f"{where}: {shown}: {message[0].lower()}{message[1:]}, but it is {_shown(problem['input'])}"


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
