"""Answers in the shape that clients of LibreTranslate read."""

import html
import re
from collections.abc import Iterator, Sequence

from kotrans.serve.responses import LineResult
from kotrans.serve.schemas import Detected, Language, LibreRequest, LibreResponse
from kotrans.text.normalization import is_hangul
from kotrans.text.sentence_splitter import SplitText

LANGUAGES = (Language(code="ko", name="Korean", targets=["en"]), Language(code="en", name="English", targets=[]))
_TAG = re.compile(r"<(?=[A-Za-z/!?])[^<>]*>")  # a comment, too, if there is no tag in it
_UNSEEN = re.compile(r"<(script|style)\b", re.IGNORECASE)
_CLOSING = {name: re.compile(f"</{name}", re.IGNORECASE) for name in ("script", "style")}


def split_html(text: str) -> SplitText:
    """Divides HTML into text, unescaped and on one line, and the rest: tags, comments, white space."""
    lines, breaks, between, at = [""], list[str](), list[str](), 0
    for begin, end in (*_markup(text), (len(text), len(text))):
        raw = text[at:begin]
        if visible := raw.strip():
            start = raw.index(visible[0])
            breaks.append("".join([*between, raw[:start]]))
            lines.append(" ".join(html.unescape(visible).split()))
            between = [raw[start + len(visible) :]]
        else:
            between.append(raw)
        between.append(text[begin:end])
        at = end
    return SplitText((*lines, ""), (*breaks, "".join(between)))


def _markup(text: str) -> Iterator[tuple[int, int]]:
    """Where tags and comments begin and end, and scripts and styles with all that is in them."""
    at = 0
    while (tag := _TAG.search(text, at)) is not None:
        end = tag.end()
        if unseen := _UNSEEN.match(tag[0]):
            closing = _CLOSING[unseen[1].lower()].search(text, end)
            end = closing.start() if closing else len(text)
        yield tag.start(), end
        at = end


def detect(text: str) -> Detected:
    """Korean or English, by which letters are more."""
    letters = [character for character in text if character.isalpha()]
    korean = sum(map(is_hangul, letters))
    # A Korean text has names and abbreviations in Latin letters; an English one has hardly a Korean letter.
    language, count = ("ko", korean) if 4 * korean >= len(letters) > 0 else ("en", len(letters) - korean)
    return Detected(confidence=round(100 * count / max(len(letters), 1), 1), language=language)


def libre_response(asked: LibreRequest, found: Sequence[LineResult]) -> LibreResponse:
    """The answer to texts that are translated."""
    texts = [each.texts[0].text for each in found]
    others = [[other.text for other in each.texts[1:]] for each in found]
    asked_for = [asked.q] if isinstance(asked.q, str) else asked.q
    detected = [detect(text) for text in asked_for] if asked.source == "auto" else []
    one = isinstance(asked.q, str)
    return LibreResponse(
        translatedText=texts[0] if one else texts,
        alternatives=None if not asked.alternatives else others[0] if one else others,
        detectedLanguage=None if asked.source != "auto" else detected[0] if one else detected,
    )


def escaped(text: str) -> str:
    """Escapes text for HTML."""
    return html.escape(text, quote=False)
