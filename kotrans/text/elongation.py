"""Elongated text: hundreds of `ㅋ` in a row mean no more than three, and no model was trained on so many."""

import re

_MOST = 8  # repeats that stay: "ㅋㅋㅋㅋㅋ", "하하하하"
_KEPT = 3
_LONGEST = 16  # characters of what is repeated
# Digits stay: the number of zeros is the number.
_REPEATED = re.compile(rf"([^0-9０-９]{{1,{_LONGEST}}}?)\1{{{_MOST},}}+")


def shorten(text: str) -> str:
    """Reduces a group of up to 16 characters that is repeated more than eight times in a row to three repetitions."""
    return _REPEATED.sub(lambda found: found[1] * _KEPT, text) if len(text) > _MOST else text
