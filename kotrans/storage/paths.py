"""The file that a user means: `~`, names in another Unicode form, patterns, and names that are nearly right."""

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
    """A path as the user gave it, with `~` expanded, by the names that exist.

    A Mac may write Hangul in file names as single letters (NFD), where most keyboards give syllables (NFC). A part of
    the path that does not exist, but does in another form, is replaced by that; whatever exists in neither stays.
    """
    path = Path(path)
    with suppress(RuntimeError):  # no such user: then it is a name that begins with "~"
        path = path.expanduser()
    if str(path).isascii() or os.path.lexists(path):
        return path
    found = Path(path.anchor)
    for part in path.parts[1:] if path.anchor else path.parts:
        found = found / _existing(found, part)
    return found


def _existing(folder: Path, name: str) -> str:
    """The name in the folder that is this one, in whatever Unicode form; the name itself if there is none."""
    if name.isascii() or os.path.lexists(folder / name):
        return name
    wanted = unicodedata.normalize("NFC", name)
    twins = (each for each in _names(folder) if unicodedata.normalize("NFC", each) == wanted)
    return next(twins, name)


def _names(folder: Path) -> list[str]:
    """What is in a folder, sorted; nothing if it is none, or cannot be read."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def is_pattern(path: str | os.PathLike[str]) -> bool:
    """Whether a path has `*`, `?` or `[`, which stand for other characters unless a file has them in its name."""
    return _MAGIC.search(str(path)) is not None and not os.path.lexists(user_path(path))


def matching(pattern: str | os.PathLike[str]) -> list[Path]:
    """Returns the files whose paths match a pattern, sorted by name; `**` matches any number of folders.

    Names match in any Unicode form. A name that begins with "." matches only a pattern that does, too.
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
            if not name.startswith(".") and inner.is_dir() and not inner.is_symlink():  # a link may lead in circles
                yield from _matches(inner, parts)
        return
    wanted = re.compile(translate(unicodedata.normalize("NFC", parts[0])))
    for name in _names(folder):
        hidden = name.startswith(".") and not parts[0].startswith(".")
        if not hidden and wanted.match(unicodedata.normalize("NFC", name)):
            yield from _matches(folder / name, parts[1:])


def near_names(path: Path, most: int = 3) -> list[str]:
    """Names in the deepest folder of a path that exists, those most like the next part of the path first."""
    folder, name = path.parent, path.name
    while not folder.is_dir() and folder != folder.parent:
        folder, name = folder.parent, folder.name
    names = [each for each in _names(folder) if not each.startswith(".")]
    return [str(folder / near) for near in get_close_matches(name, names, n=most, cutoff=0.5)]


def runs_folder() -> Path:
    """Where runs and prepared data lie: KOTRANS_RUNS, or runs/ in the current folder."""
    return user_path(os.environ.get("KOTRANS_RUNS") or "runs")


def prepared_folder() -> Path:
    """Where the stages before training keep their results, shared by all runs."""
    return runs_folder() / "prepared"
