"""Train, inspect and use Korean-English recurrent attention models.

>>> from kotrans import Translator
>>> Translator.load("starter").translate(["저는 학생이에요."])
["I'm a student."]

Public names are imported on first use: `import kotrans` alone is fast and does not import PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from kotrans.storage.resources import VERSION as __version__

if TYPE_CHECKING:
    from kotrans.errors import KotransError
    from kotrans.translation.postprocess import TranslatedText, Translation
    from kotrans.translation.translator import Translator

__all__ = ["KotransError", "TranslatedText", "Translation", "Translator", "__version__"]

_HOMES = {
    "KotransError": "kotrans.errors",
    "TranslatedText": "kotrans.translation.postprocess",
    "Translation": "kotrans.translation.postprocess",
    "Translator": "kotrans.translation.translator",
}


def __getattr__(name: str) -> object:
    """Imports a public name on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
