"""What a request asks for: its own fields, or those of LibreTranslate's clients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from kotrans.serve.bodies import FormFields
from kotrans.serve.refusals import Refused, shortened
from kotrans.serve.schemas import LibreRequest, Message, TranslateRequest

RequestBody = TypeVar("RequestBody", bound=Message)
_PROBLEMS_TOLD = 3  # of a body that may have as many as it has bytes
_OWN = frozenset(TranslateRequest.model_fields)


@dataclass(frozen=True)
class ParsedRequest:
    """Texts to translate, and how."""

    texts: Sequence[str]
    beam: int | None = None
    n_best: int = 1
    attention: bool | Literal["all"] = False
    split_sentences: bool | None = None
    libre: LibreRequest | None = None
    """Set if the answer is for a client of LibreTranslate."""

    @property
    def with_attention(self) -> int:
        """Of how many of the best translations the attention is answered."""
        return self.n_best if self.attention == "all" else int(self.attention)


def read_question(body: Any, most_texts: int) -> ParsedRequest:
    """What the body of POST /translate asks for. Raises Refused."""
    if isinstance(body, list):
        raise Refused(422, 'body: a list; send one object, several texts as {"text": ["…", "…"]}')
    if not isinstance(body, dict):
        raise Refused(422, 'body: should be an object, such as {"text": "안녕하세요."}')
    if "q" in body and "text" not in body:
        return _of_libre(libre_request(body, most_texts), most_texts)
    return _own(body, most_texts)


def libre_request(body: Any, most_texts: int) -> LibreRequest:
    """The fields of a client of LibreTranslate; a form has numbers as texts. Raises Refused."""
    if not isinstance(body, dict) or body.get("q") is None:
        raise Refused(400, "q: missing; send the text as `q`")
    fields = {name: body[name] for name in LibreRequest.model_fields if name in body}
    number = fields.get("alternatives")
    if isinstance(body, FormFields) and isinstance(number, str) and number.isdecimal() and len(number) < 10:
        fields["alternatives"] = int(number)
    _check_texts("q", fields["q"], most_texts, status=400)
    return _validated(LibreRequest, fields, status=400)


def _of_libre(asked: LibreRequest, most_texts: int) -> ParsedRequest:
    for name, value, known in (
        ("source", asked.source, ("ko", "auto")), ("target", asked.target, ("en",)),
        ("format", asked.format, ("text", "html")),
    ):  # fmt: skip
        if value not in known:
            raise Refused(400, f"{name}: {shortened(value)} is not supported; take {' or '.join(known)}")
    texts = [asked.q] if isinstance(asked.q, str) else asked.q
    return ParsedRequest(texts, n_best=1 + asked.alternatives, libre=asked)


def _own(body: Mapping[str, Any], most_texts: int) -> ParsedRequest:
    # Told before the fields are validated: there may be as many unknown ones as the body has bytes.
    unknown = [name for name in body if name not in _OWN]
    if unknown:
        told = [_unknown(name) for name in unknown[:_PROBLEMS_TOLD]]
        raise Refused(422, "; ".join(told + _and_more(len(unknown))))
    if "text" not in body:
        raise Refused(422, 'text: missing; send the text as {"text": "안녕하세요."}')
    _check_texts("text", body["text"], most_texts, status=422)
    asked = _validated(TranslateRequest, body, status=422)
    return ParsedRequest(
        [asked.text] if isinstance(asked.text, str) else asked.text,
        asked.beam, asked.n_best, asked.attention, asked.split_sentences,
    )  # fmt: skip


def _check_texts(name: str, texts: Any, most: int, *, status: int) -> None:
    """Tells of the first that is no text alone: there may be as many as the body has bytes."""
    if not isinstance(texts, list):
        if not isinstance(texts, str):
            raise Refused(status, f"{name}: should be a text or a list of texts")
        return
    if len(texts) > most:
        raise Refused(status, f"{name}: {len(texts):,} sentences, but at most {most:,} are taken; send fewer")
    odd = next((n for n, each in enumerate(texts) if not isinstance(each, str)), None)
    if odd is not None:
        raise Refused(status, f"{name}: item {odd} of the list should be a text")


def _unknown(name: str) -> str:
    near = get_close_matches(name, _OWN, n=1) if len(name) < 40 else []
    return f"{shortened(name)}: there is no such field" + (f"; did you mean {near[0]}?" if near else "")


def _validated(kind: type[RequestBody], fields: Mapping[str, Any], *, status: int) -> RequestBody:
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        told = [_told(each["loc"], each["msg"]) for each in problems[:_PROBLEMS_TOLD]]
        raise Refused(status, "; ".join(told + _and_more(len(problems)))) from None


def _told(where: Sequence[int | str], message: str) -> str:
    message = message.removeprefix("Input ").removeprefix("Value error, ")
    return f"{where[0] if where else 'body'}: {message[0].lower()}{message[1:]}"


def _and_more(problems: int) -> list[str]:
    return [f"and {problems - _PROBLEMS_TOLD:,} more"] if problems > _PROBLEMS_TOLD else []
