"""Where the files that come with kotrans lie: beside the package in a checkout, inside it when installed.

The version of kotrans, read by the package, by the build and by all that records it.
"""

from pathlib import Path

_PACKAGE = Path(__file__).parent.parent


def configs() -> Path:
    """The folder of the configs that come with kotrans."""
    installed = _PACKAGE / "bundled" / "configs"
    return installed if installed.is_dir() else _PACKAGE.parent / "configs"


def starter() -> Path:
    """The folder of the embedded starter corpus."""
    installed = _PACKAGE / "bundled" / "starter"
    return installed if installed.is_dir() else _PACKAGE.parent / "data" / "starter"


VERSION = "0.1.0"
