"""Pictures as PNG or SVG files, with Korean letters.

Fonts that can show Korean, and what they cannot show.
"""

import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

from kotrans.errors import KotransError, UsageError
from kotrans.storage.files import new_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure


logger = logging.getLogger(__name__)
_SAMPLE = "한글뷁"
_FAMILIES = (
    "NanumGothic", "Noto Sans CJK KR", "Noto Sans KR", "Malgun Gothic", "Apple SD Gothic Neo", "AppleGothic",
    "NanumBarunGothic", "Source Han Sans KR", "Source Han Sans K", "Pretendard", "UnDotum", "Baekmuk Dotum",
)  # fmt: skip
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"


def font_families() -> list[str]:
    """The families to draw with, in order: one that has Korean, then matplotlib's own for other characters.

    Raises KotransError saying what to install if no font has Korean.
    """
    path = _korean_font()
    if all(entry.fname != str(path) for entry in font_manager.fontManager.ttflist):
        font_manager.fontManager.addfont(path)
    return [FT2Font(path).family_name, "DejaVu Sans"]


def drawable(texts: Iterable[str]) -> list[str]:
    """The texts with � for each character that the fonts lack; a warning names those."""
    texts = list(texts)
    known = _characters(_korean_font()) | _characters(_fallback_font())
    missing = sorted({character for text in texts for character in text if ord(character) not in known})
    if missing:
        names = ", ".join(f"{character} (U+{ord(character):04X})" for character in missing)
        logger.warning("picture: no installed font has %s; drawn as %s", names, _UNKNOWN)
    return [text.translate({ord(character): _UNKNOWN for character in missing}) for text in texts]


def _korean_font() -> Path:
    for path in _candidates():
        if path.is_file() and {ord(character) for character in _SAMPLE} <= _characters(path):
            return path
    raise KotransError(f"picture: no font with Korean letters was found; install one: {_remedy()}")


def _candidates() -> Iterator[Path]:
    # Only the font file of koreanize-matplotlib is used: importing it needs distutils, which Python 3.12 dropped.
    carrier = find_spec("koreanize_matplotlib")
    for folder in (carrier.submodule_search_locations or []) if carrier else []:
        yield Path(folder, "fonts", "NanumGothic.ttf")
    installed = [(entry.name, Path(entry.fname)) for entry in font_manager.fontManager.ttflist]
    for family in _FAMILIES:
        yield from (path for name, path in installed if name == family)
    yield from (path for name, path in installed if name not in _FAMILIES)


def _remedy() -> str:
    system = {
        "darwin": "brew install --cask font-nanum-gothic (macOS)",
        "win32": "Settings > System > Optional features > Korean Supplemental Fonts (Windows)",
    }.get(sys.platform, "sudo apt install fonts-nanum (Debian, Ubuntu)")
    return f"pip install koreanize-matplotlib, or {system}"


def _fallback_font() -> Path:
    return Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")


@cache
def _characters(path: Path) -> frozenset[int]:
    """The code points that a font file has glyphs for; none if it cannot be read."""
    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()


_DPI = 150


def check_picture(path: Path) -> None:
    """Raises UsageError unless the name ends in .png or .svg."""
    if path.suffix.lower() not in (".png", ".svg"):
        raise UsageError(f"{path}: a picture is written as .png or .svg; change the file name")


@contextmanager
def drawing() -> Iterator[None]:
    """Figures that are made and saved inside look the same whatever the user has set.

    Letters in an SVG are outlines, so that any viewer shows them. Raises KotransError if there is no font with Korean.
    """
    from matplotlib import style

    settings = {"font.family": font_families(), "svg.fonttype": "path", "svg.hashsalt": "kotrans"}
    with style.context(["default", settings]):
        yield


def save(figure: "Figure", path: Path) -> None:
    """Writes a figure, with all that lies around its axes. The same picture is the same file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)  # pixels without a display, whatever backend is set
    with new_file(path) as scratch:
        kind = path.suffix[1:].lower()
        metadata = {"Date": None} if kind == "svg" else {}
        figure.savefig(scratch, format=kind, dpi=_DPI, bbox_inches="tight", metadata=metadata)
