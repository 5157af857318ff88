"""Fonts that can show Korean, and what they cannot show."""

import logging
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import matplotlib
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

from kotrans.errors import KotransError

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
