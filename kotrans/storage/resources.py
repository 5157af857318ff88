"""The version of kotrans, and its bundled files: next to the package in a checkout, inside it when installed."""

from pathlib import Path

VERSION = "0.1.0"
_PACKAGE = Path(__file__).parent.parent


def configs() -> Path:
    """Returns the folder of the example configs."""
    installed = _PACKAGE / "bundled" / "configs"
    return installed if installed.is_dir() else _PACKAGE.parent / "configs"


def starter() -> Path:
    """Returns the folder of the starter corpus."""
    installed = _PACKAGE / "bundled" / "starter"
    return installed if installed.is_dir() else _PACKAGE.parent / "data" / "starter"
