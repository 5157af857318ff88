"""Paths given by users: `~`, Unicode forms of names, patterns, and suggestions for misspelt names."""

import os
import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from difflib import get_close_matches
from fnmatch import translate
from pathlib import Path

_MAGIC = re.compile(r"[*?\[]")


def user_path(path: str | os.PathLike[str]) -> Path:
    """Returns the path with `~` expanded and each part in the Unicode form that exists on disk.

    macOS may store Hangul in file names as jamo (NFD), whereas keyboards enter syllables (NFC). A part that exists in
    neither form is kept as given.
    """
    path = Path(path)
    with suppress(RuntimeError):  # unknown user: the name itself begins with "~"
        path = path.expanduser()
    if str(path).isascii() or os.path.lexists(path):
        return path
    found = Path(path.anchor)
    for part in path.parts[1:] if path.anchor else path.parts:
        found = found / _existing(found, part)
    return found


def _existing(folder: Path, name: str) -> str:
    """Returns the equal name in the folder in any Unicode form; the name itself if there is none."""
    if name.isascii() or os.path.lexists(folder / name):
        return name
    wanted = unicodedata.normalize("NFC", name)
    return next((entry for entry in _names(folder) if unicodedata.normalize("NFC", entry) == wanted), name)


def _names(folder: Path) -> list[str]:
    """Returns the sorted names in a folder; an empty list if it is not a folder or cannot be read."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def is_pattern(path: str | os.PathLike[str]) -> bool:
    """Returns whether a path contains a wildcard (`*`, `?` or `[`) and no file has that literal name."""
    return _MAGIC.search(str(path)) is not None and not os.path.lexists(user_path(path))


def matching_files(pattern: str | os.PathLike[str]) -> list[Path]:
    """Returns the files whose paths match a pattern, sorted by name. `**` matches any number of folders.

    Names match in any Unicode form. A name that begins with "." only matches a pattern that begins with ".".
    """
    path = user_path(pattern)
    fixed = Path(path.anchor)
    parts = list(path.parts[1:] if path.anchor else path.parts)
    while parts and not _MAGIC.search(parts[0]):
        fixed /= parts.pop(0)
    found = {file for file in _matches(fixed, parts) if file.is_file()}
    return sorted(found, key=lambda file: (unicodedata.normalize("NFC", file.as_posix()), file.as_posix()))


def _matches(folder: Path, parts: list[str]) -> Iterator[Path]:
    if not parts:
        yield folder
        return
    if parts[0] == "**":
        yield from _matches(folder, parts[1:] or ["*"])
        for name in _names(folder):
            inner = folder / name
            if not name.startswith(".") and inner.is_dir() and not inner.is_symlink():  # links may be circular
                yield from _matches(inner, parts)
        return
    wanted = re.compile(translate(unicodedata.normalize("NFC", parts[0])))
    for name in _names(folder):
        is_hidden = name.startswith(".") and not parts[0].startswith(".")
        if not is_hidden and wanted.match(unicodedata.normalize("NFC", name)):
            yield from _matches(folder / name, parts[1:])


def similar_paths(path: Path, most: int = 3) -> list[str]:
    """Returns paths in the deepest existing folder of a path whose names are similar to the next part, best first."""
    folder, name = path.parent, path.name
    while not folder.is_dir() and folder != folder.parent:
        folder, name = folder.parent, folder.name
    names = [entry for entry in _names(folder) if not entry.startswith(".")]
    return [str(folder / near) for near in get_close_matches(name, names, n=most, cutoff=0.5)]


def runs_folder() -> Path:
    """Returns the folder of runs and prepared data: KOTRANS_RUNS (default: runs/ in the current folder)."""
    return user_path(os.environ.get("KOTRANS_RUNS") or "runs")


def prepared_folder() -> Path:
    """Returns the folder of prepared data, which all runs share."""
    return runs_folder() / "prepared"
