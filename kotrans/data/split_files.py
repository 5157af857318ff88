"""The files that a split of a config names: `~`, patterns and lists made into files that are there."""

from collections.abc import Sequence
from pathlib import Path

from kotrans.config.sections import SplitConfig, SplitFiles
from kotrans.errors import DataError
from kotrans.storage.paths import is_pattern, matching, near_names, user_path

Names = Path | tuple[Path, ...]


def split_files(split: SplitConfig, where: str) -> tuple[SplitFiles, ...]:
    """The split's texts in order: lists as they are written, the files of each pattern sorted by name.

    Raises DataError beginning with `where` if nothing matches a pattern, a folder is named, or the sides have different
    numbers of files. That a file named in full is missing is said when it is read.
    """
    if split.path is not None:
        return tuple(SplitFiles(path=path) for path in dict.fromkeys(_files(split.path, where)))
    assert split.source is not None  # the config has either `path` or both sides
    assert split.target is not None
    sources, targets = _files(split.source, f"{where}: source"), _files(split.target, f"{where}: target")
    if len(sources) != len(targets):
        raise DataError(
            f"{where}: `source` has {len(sources)} files but `target` has {len(targets)} "
            f"({_shown(sources)}; {_shown(targets)}); file N of one must translate file N of the other"
        )
    pairs = zip(sources, targets, strict=True)
    return tuple(SplitFiles(source=source, target=target) for source, target in pairs)


def _files(names: Names, where: str) -> list[Path]:
    return [path for name in (names if isinstance(names, tuple) else (names,)) for path in _of(name, where)]


def _of(name: Path, where: str) -> list[Path]:
    path = user_path(name)
    if path.is_dir():
        raise DataError(f"{where}: {name} is a folder; name its files with a pattern, for example {name}/{_like(path)}")
    if not is_pattern(name):
        return [path]
    if found := matching(name):
        return found
    near = near_names(path)
    hint = f"; near it are {', '.join(near)}" if near else ""
    raise DataError(f"{where}: no file matches {name} (relative to {Path.cwd()}){hint}")


def _like(folder: Path) -> str:
    """A pattern for the most frequent kind of file in a folder, with those of its folders if it has none itself."""
    for pattern in ("*", "**/*"):
        endings = [file.suffix for file in matching(folder / pattern) if file.suffix]
        if endings:
            return pattern + max(sorted(set(endings)), key=endings.count)
    return "*"


def _shown(files: Sequence[Path]) -> str:
    names = [file.name for file in files[:3]]
    return ", ".join([*names, *(["…"] if len(files) > 3 else [])])
