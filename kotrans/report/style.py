"""Matplotlib figures as PNG or SVG files, with a font that has Korean."""

import logging
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
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"
_DPI = 150


def check_picture(path: Path) -> None:
    """Raises UsageError unless the name ends in .png or .svg."""
    if path.suffix.lower() not in (".png", ".svg"):
        raise UsageError(f"{path}: a picture is written as .png or .svg; change the file name")


@contextmanager
def drawing() -> Iterator[None]:
    """Uses the same settings for every figure, whatever the user's matplotlibrc has.

    Text in an SVG becomes outlines, so that every viewer shows it. Raises KotransError if the Korean font is missing.
    """
    from matplotlib import style

    families = [_registered_family(_korean_font()), "DejaVu Sans"]
    with style.context(["default", {"font.family": families, "svg.fonttype": "path", "svg.hashsalt": "kotrans"}]):
        yield


def save(figure: "Figure", path: Path) -> None:
    """Writes a figure, including everything around its axes. The same figure gives the same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)  # needs no display, whatever backend is configured
    with new_file(path) as scratch:
        kind = path.suffix[1:].lower()
        metadata = {"Date": None} if kind == "svg" else {}
        figure.savefig(scratch, format=kind, dpi=_DPI, bbox_inches="tight", metadata=metadata)


def drawable(texts: Iterable[str]) -> list[str]:
    """Replaces characters that the fonts lack by �, and logs a warning that names them."""
    texts = list(texts)
    known = _characters(_korean_font()) | _characters(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"))
    missing = sorted({character for text in texts for character in text if ord(character) not in known})
    if missing:
        names = ", ".join(f"{character} (U+{ord(character):04X})" for character in missing)
        logger.warning("picture: no font has %s; drawn as %s", names, _UNKNOWN)
    return [text.translate({ord(character): _UNKNOWN for character in missing}) for text in texts]


def _korean_font() -> Path:
    """Finds NanumGothic in koreanize-matplotlib without importing that, which needs distutils."""
    package = find_spec("koreanize_matplotlib")
    for folder in (package.submodule_search_locations or []) if package else []:
        if (path := Path(folder, "fonts", "NanumGothic.ttf")).is_file():
            return path
    raise KotransError("picture: the Korean font is missing; install it: pip install koreanize-matplotlib")


@cache
def _registered_family(font: Path) -> str:
    """Adds a font to matplotlib and returns its family."""
    font_manager.fontManager.addfont(font)
    return FT2Font(font).family_name


@cache
def _characters(font: Path) -> frozenset[int]:
    """Returns the code points that a font has glyphs for."""
    return frozenset(FT2Font(font).get_charmap())
