"""What the service takes and gives, as JSON. The OpenAPI document is made of these classes.

The OpenAPI document: what FastAPI cannot tell from the signatures.
"""

from typing import Any, Literal

from fastapi import FastAPI, Security
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from kotrans.config.sections import ServeConfig

# Shape key: T target pieces, S source pieces, U target words, R source words.


class Message(BaseModel):
    """Unknown keys are refused, and no value is taken for one of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


class TranslateRequest(Message):
    """What to translate, and how."""

    text: str | list[str]
    """A Korean text, or a list of texts. Line breaks in a text are kept."""
    beam: int | None = Field(None, ge=1)
    """Hypotheses kept per step; 1 is greedy. Default: `search.beam` of the model, or `n_best` if that is larger."""
    n_best: int = Field(1, ge=1)
    """Translations of each text; at most the beam."""
    attention: bool | Literal["all"] = False
    """True returns the attention weights of the best translation of each text, "all" those of every translation."""
    split_sentences: bool | None = None
    """Translate each sentence of a line by itself. Default: null, `search.split_sentences` of the model, else true."""


class Attention(Message):
    """Attention weights of one sentence's translation, by pieces and by words."""

    source_pieces: list[str]
    """"▁" begins a word, "<0xE2>" is a byte, "</s>" is the end."""
    target_pieces: list[str]
    """The same of the translation."""
    weights: list[list[float]]
    """A row for each target piece with the weight of each source piece, (T, S)."""
    source_words: list[str]
    """The words that the source pieces make up."""
    target_words: list[str]
    """The words that the target pieces make up, with what was copied from the source into `text`; where that replaced
    several words it stands in the first, and the others are empty."""
    word_weights: list[list[float]]
    """(U, R): of the pieces of a source word the sum, of those of a target word the mean."""


class Hypothesis(Message):
    """One translation of a text."""

    text: str
    """The translation, with literals copied from the source where the model misspelt them."""
    score: float
    """The log-probability, normalised by length, the mean of all sentences of the text. The list is sorted, sentence by
    sentence, by this less `search.verbatim_penalty` for each literal of the source that the model's own text lacks."""
    finished: bool
    """False if a sentence was cut at the maximum length."""
    attention: list[Attention] | None
    """One for each sentence. Null if it was not asked for, the text is blank, or the model has no attention."""


class TranslatedSentence(Message):
    """A text and its translations."""

    text: str
    """The best translation."""
    parts: int
    """How many sentences were translated by themselves, and parts of those longer than any of training; 0 if the text
    is blank."""
    hypotheses: list[Hypothesis]
    """The best `n_best`, best first, fewer if the model found no more. They are sorted by score, less
    `search.verbatim_penalty` for each number or Latin word of the source that a translation lacks; one that was cut is
    last."""


class TranslateResponse(Message):
    """The translations, in the order of the texts."""

    translations: list[TranslatedSentence]
    """One for each text."""
    model: str
    """Run and checkpoint."""
    beam: int
    """Hypotheses kept per step."""
    waited_seconds: float
    """From the arrival of the request until the model began."""
    translated_seconds: float
    """From then until the last sentence was translated."""


class LibreRequest(Message):
    """What clients of LibreTranslate send; other fields are ignored."""

    model_config = ConfigDict(extra="ignore")

    q: str | list[str]
    """A Korean text, or a list of texts."""
    source: str = "auto"
    """`ko` or `auto`."""
    target: str = "en"
    """`en`."""
    format: str = "text"
    """`text`, or `html`, where tags are kept and the text between two tags is translated by itself."""
    alternatives: int = Field(0, ge=0)
    """Other translations of each text."""
    api_key: str | None = None
    """The token."""


class Detected(Message):
    """The language of a text."""

    confidence: float
    """Percent of the letters."""
    language: str
    """`ko` or `en`."""


class LibreResponse(Message):
    """The answer for clients of LibreTranslate."""

    translatedText: str | list[str]
    """A text, or a list if a list was sent."""
    alternatives: list[str] | list[list[str]] | None = None
    """Alternative translations, if requested."""
    detectedLanguage: Detected | list[Detected] | None = None
    """If `source` was `auto`."""


class Language(Message):
    """A language that the service knows."""

    code: str
    """Of ISO 639-1."""
    name: str
    """In English."""
    targets: list[str]
    """What it is translated into."""


class Health(Message):
    """Whether the service is ready."""

    status: Literal["ok", "starting"]
    """`starting` (with status 503) until every process has loaded the model."""
    model: str
    """Run and checkpoint."""
    version: str
    """Of kotrans."""
    beam: int
    """The beam of a request that names none."""
    max_beam: int
    """The largest beam that a request may name."""


class Problem(Message):
    """Why there is no translation."""

    error: str
    """One line: where, what, and what to do."""


_STATUSES = {
    400: "The body cannot be read, or a language is not supported.",
    401: "The token is missing or wrong.",
    403: "The `Host` header names another machine, or the page of another origin asks.",
    408: "The request came too slowly.",
    413: "The body is too large.",
    415: "The body is neither JSON nor a form.",
    422: "The request asks for what is not there, or for too much.",
    500: "A fault of the service.",
    503: "Too much waits, memory ran out, or a process was killed; `Retry-After` says for how many seconds to wait.",
    504: "The translation took too long.",
}
_ANYWHERE = (403, 408, 413, 500, 503)  # and 401 where a token is needed
_BODIES = {"translate": (TranslateRequest, LibreRequest), "detect": (LibreRequest,)}


def limits_of(config: ServeConfig) -> str:
    """The limits in words."""
    return (
        f"A request has at most {config.max_body:,} bytes and {config.max_sentences:,} sentences, counted after its "
        f"texts are cut, in lines of at most {config.max_characters:,} characters, and a beam of at most "
        f"{config.max_beam}. Attention is answered for at most {config.max_weights:,} weights."
    )


def problems(*statuses: int, with_token: bool = False) -> dict[int | str, dict[str, Any]]:
    """Error responses for the OpenAPI document: the given ones and those that any request may get."""
    possible = sorted({*statuses, *_ANYWHERE, *([401] if with_token else [])})
    return {status: {"description": _STATUSES[status], "model": Problem} for status in possible}


def secured(needs_token: bool) -> list[Any]:
    """The token, for the document; it is the guard that checks it."""
    return [Security(HTTPBearer(auto_error=False))] if needs_token else []


def body_of(route: str) -> dict[str, Any]:
    """The body of a route that reads it itself."""
    references = [{"$ref": f"#/components/schemas/{kind.__name__}"} for kind in _BODIES[route]]
    schema = references[0] if len(references) == 1 else {"anyOf": references}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def described(app: FastAPI) -> None:
    """Adds the messages that `body_of` refers to."""
    document = app.openapi()
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for kind in {kind for kinds in _BODIES.values() for kind in kinds}:
        schemas[kind.__name__] = kind.model_json_schema(ref_template="#/components/schemas/{model}")
