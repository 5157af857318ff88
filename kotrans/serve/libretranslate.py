"""The LibreTranslate API: languages, language detection, HTML, and the shape of its responses."""

import html
import re
from collections.abc import Iterator, Sequence

from kotrans.serve.responses import LineResult
from kotrans.serve.schemas import Detected, Language, LibreRequest, LibreResponse
from kotrans.text.normalization import is_hangul
from kotrans.text.sentence_splitter import SplitText

LANGUAGES = (Language(code="ko", name="Korean", targets=["en"]), Language(code="en", name="English", targets=[]))
_TAG = re.compile(r"<(?=[A-Za-z/!?])[^<>]*>")  # also a comment that contains no tag
_INVISIBLE = re.compile(r"<(script|style)\b", re.IGNORECASE)
_CLOSING = {name: re.compile(f"</{name}", re.IGNORECASE) for name in ("script", "style")}


def split_html(text: str) -> SplitText:
    """Splits HTML into lines of unescaped text and the markup between them: tags, comments, white space."""
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
    """Yields begin and end of each tag and comment, and of each script and style with its content."""
    at = 0
    while (tag := _TAG.search(text, at)) is not None:
        end = tag.end()
        if invisible := _INVISIBLE.match(tag[0]):
            closing = _CLOSING[invisible[1].lower()].search(text, end)
            end = closing.start() if closing else len(text)
        yield tag.start(), end
        at = end


def escape(text: str) -> str:
    """Escapes text for HTML."""
    return html.escape(text, quote=False)


def detect(text: str) -> Detected:
    """Detects Korean or English by the share of Hangul letters."""
    letters = [character for character in text if character.isalpha()]
    korean = sum(map(is_hangul, letters))
    # Korean text contains names and abbreviations in Latin letters; English text contains hardly any Hangul.
    language, count = ("ko", korean) if 4 * korean >= len(letters) > 0 else ("en", len(letters) - korean)
    return Detected(confidence=round(100 * count / max(len(letters), 1), 1), language=language)


def libre_response(request: LibreRequest, results: Sequence[LineResult]) -> LibreResponse:
    """Returns the response with the results of the texts."""
    texts = [result.hypotheses[0].text for result in results]
    others = [[hypothesis.text for hypothesis in result.hypotheses[1:]] for result in results]
    detected = [detect(text) for text in request.texts] if request.source == "auto" else None
    is_single = isinstance(request.q, str)
    return LibreResponse(
        translatedText=texts[0] if is_single else texts,
        alternatives=None if not request.alternatives else others[0] if is_single else others,
        detectedLanguage=detected[0] if detected and is_single else detected,
    )
