"""Pictures as PNG or SVG files, with Korean letters."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kotrans.errors import UsageError
from kotrans.storage.files import new_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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

    from kotrans.report.fonts import font_families

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
