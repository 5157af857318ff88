"""Finds the files of a split: `~`, patterns and lists."""

from collections.abc import Sequence
from pathlib import Path

from kotrans.config.sections import SplitConfig, SplitFiles
from kotrans.errors import DataError
from kotrans.storage.paths import is_pattern, matching_files, similar_paths, user_path


def split_files(split: SplitConfig, where: str) -> tuple[SplitFiles, ...]:
    """Resolves `~`, patterns and lists: lists keep their order, the files of each pattern are sorted by name.

    Raises DataError beginning with `where` if a pattern matches nothing, a folder is named, or the sides have different
    numbers of files. A missing file without a pattern is reported when it is read.
    """
    if split.path is not None:
        return tuple(SplitFiles(path=path) for path in dict.fromkeys(_files(split.path, where)))
    assert split.source is not None  # the config requires `path` or both sides
    assert split.target is not None
    sources, targets = _files(split.source, f"{where}: source"), _files(split.target, f"{where}: target")
    if len(sources) != len(targets):
        raise DataError(
            f"{where}: `source` has {len(sources)} files but `target` has {len(targets)} "
            f"({_shown(sources)}; {_shown(targets)}); file N of one must translate file N of the other"
        )
    pairs = zip(sources, targets, strict=True)
    return tuple(SplitFiles(source=source, target=target) for source, target in pairs)


def _files(names: Path | tuple[Path, ...], where: str) -> list[Path]:
    return [path for name in (names if isinstance(names, tuple) else (names,)) for path in _matches(name, where)]


def _matches(name: Path, where: str) -> list[Path]:
    path = user_path(name)
    if path.is_dir():
        raise DataError(
            f"{where}: {name} is a folder; name its files with a pattern, for example {name}/{_typical_pattern(path)}"
        )
    if not is_pattern(name):
        return [path]
    if found := matching_files(name):
        return found
    near = similar_paths(path)
    hint = f"; similar names: {', '.join(near)}" if near else ""
    raise DataError(f"{where}: no file matches {name} (relative to {Path.cwd()}){hint}")


def _typical_pattern(folder: Path) -> str:
    """Returns a pattern for the most frequent file ending in a folder, or in its subfolders if it has no files."""
    for pattern in ("*", "**/*"):
        endings = [file.suffix for file in matching_files(folder / pattern) if file.suffix]
        if endings:
            return pattern + max(sorted(set(endings)), key=endings.count)
    return "*"


def _shown(files: Sequence[Path]) -> str:
    names = [file.name for file in files[:3]]
    return ", ".join([*names, *(["…"] if len(files) > 3 else [])])
