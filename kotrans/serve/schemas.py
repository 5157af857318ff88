"""JSON bodies of requests and responses, and the parts of the OpenAPI document that FastAPI cannot derive."""

from typing import Any, Literal

from fastapi import FastAPI, Security
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from kotrans.config.sections import ServeConfig

# Shape key: T target pieces, S source pieces, U target words, R source words.


class Schema(BaseModel):
    """Base class: unknown fields are errors, and values are not converted to another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


class TranslateRequest(Schema):
    """Texts to translate, with search options."""

    text: str | list[str]
    """A Korean text, or a list of texts. Line breaks within a text are kept."""
    beam: int | None = Field(None, ge=1)
    """Beam size (hypotheses kept per step); 1 is greedy search. Default: `search.beam` of the model, or `n_best` if
    that is larger."""
    n_best: int = Field(1, ge=1)
    """Translations per text; at most the beam."""
    attention: bool | Literal["all"] = False
    """True returns the attention weights of the best translation of each text, "all" those of every translation."""
    split_sentences: bool | None = None
    """Translate each sentence of a line separately. Default: null, which uses `search.split_sentences` of the model;
    if that is null too, true."""

    prefix: str | None = Field(None, max_length=1000)
    """Text that the translation of each line begins with. Default: null, which uses `search.prefix` of the service."""
    glossary: dict[str, str] | None = Field(None, max_length=1000)
    """Terms that the translations must contain, Korean to English, instead of those of the service."""

    @property
    def texts(self) -> list[str]:
        """The texts as a list."""
        return [self.text] if isinstance(self.text, str) else self.text

    @property
    def with_attention(self) -> int:
        """Number of hypotheses per text whose attention weights are returned."""
        return self.n_best if self.attention == "all" else int(self.attention)


class Attention(Schema):
    """Attention weights of one translated sentence, by pieces and by words."""

    source_pieces: list[str]
    """"▁" marks the beginning of a word, "<0xE2>" is a byte, "</s>" is the end of the sentence."""
    target_pieces: list[str]
    """The pieces of the translation, in the same notation."""
    weights: list[list[float]]
    """One row per target piece with the weight of each source piece, (T, S)."""
    source_words: list[str]
    """The words that the source pieces form."""
    target_words: list[str]
    """The words that the target pieces form, after copying from the source as in `text`; if a copy replaces several
    words, it is in the first of them and the others are empty."""
    word_weights: list[list[float]]
    """(U, R): the sum over the pieces of a source word, and the mean over the pieces of a target word."""


class Hypothesis(Schema):
    """One translation of a text."""

    text: str
    """The translation, with literals copied from the source where the model misspelt them."""
    score: float
    """Log-probability normalised by length; the mean over the sentences of the text. Hypotheses are sorted, sentence by
    sentence, by this score less `search.verbatim_penalty` for each literal of the source that is missing in the model's
    own text."""
    finished: bool
    """False if a sentence was cut at the maximum length."""
    attention: list[Attention] | None
    """One entry per sentence. Null if not requested, if the text is blank, or if the model has no attention."""


class TranslatedSentence(Schema):
    """A text and its translations."""

    text: str
    """The best translation."""
    parts: int
    """Number of units translated separately: sentences, or parts of sentences longer than any in training; 0 if the
    text is blank."""
    hypotheses: list[Hypothesis]
    """Up to `n_best` translations, best first. They are sorted by score, less `search.verbatim_penalty` for each number
    or Latin word of the source that a translation lacks; translations cut at the maximum length are last."""


class TranslateResponse(Schema):
    """The translations, in the order of the texts."""

    translations: list[TranslatedSentence]
    """One per text."""
    model: str
    """Run and checkpoint."""
    beam: int
    """Beam size that was used."""
    waited_seconds: float
    """From the arrival of the request until its translation began."""
    translated_seconds: float
    """From then until the last sentence was translated."""


class LibreRequest(Schema):
    """The request of a LibreTranslate client; other fields are ignored."""

    model_config = ConfigDict(extra="ignore")

    q: str | list[str]
    """A Korean text, or a list of texts."""
    source: str = "auto"
    """`ko` or `auto`."""
    target: str = "en"
    """`en`."""
    format: str = "text"
    """`text` or `html`. In HTML, tags are kept and the text between two tags is translated separately."""
    alternatives: int = Field(0, ge=0)
    """Number of further translations per text."""
    api_key: str | None = None
    """The token."""

    @property
    def texts(self) -> list[str]:
        """The texts as a list."""
        return [self.q] if isinstance(self.q, str) else self.q


class Detected(Schema):
    """The detected language of a text."""

    confidence: float
    """Percentage of letters that belong to the language."""
    language: str
    """`ko` or `en`."""


class LibreResponse(Schema):
    """The response to a LibreTranslate client."""

    translatedText: str | list[str]
    """A text, or a list if the request has a list."""
    alternatives: list[str] | list[list[str]] | None = None
    """Alternative translations, if requested."""
    detectedLanguage: Detected | list[Detected] | None = None
    """Present if `source` is `auto`."""


class Language(Schema):
    """A supported language."""

    code: str
    """ISO 639-1 code."""
    name: str
    """English name."""
    targets: list[str]
    """Languages that it can be translated into."""


class Health(Schema):
    """State of the service."""

    status: Literal["ok", "starting"]
    """`starting` (with status 503) until every worker has loaded the model."""
    model: str
    """Run and checkpoint."""
    version: str
    """Version of kotrans."""
    beam: int
    """Default beam size."""
    max_beam: int
    """Largest beam size that a request may use."""


class Problem(Schema):
    """An error response."""

    error: str
    """One line: where, what, and what to do."""


_DESCRIPTIONS = {
    400: "The body cannot be read, or a language is not supported.",
    401: "The token is missing or wrong.",
    403: "The `Host` header is not allowed, or the request comes from a page of another origin.",
    408: "The request was not received in time.",
    413: "The body is too large.",
    415: "The body is neither JSON nor a form.",
    422: "A field is invalid, or a limit is exceeded.",
    500: "Internal error.",
    503: "The queue is full, memory ran out, or a worker was killed; `Retry-After` has the seconds to wait.",
    504: "The translation took too long.",
}
_ANY_REQUEST = (403, 408, 413, 500, 503)  # and 401 where a token is required
_REQUEST_SCHEMAS = {"translate": (TranslateRequest, LibreRequest), "detect": (LibreRequest,)}


def describe_limits(config: ServeConfig) -> str:
    """Returns the limits as text."""
    return (
        f"A request has at most {config.max_body:,} bytes and {config.max_sentences:,} sentences (counted after "
        f"sentence splitting), lines of at most {config.max_characters:,} characters, and a beam of at most "
        f"{config.max_beam}. A response has at most {config.max_weights:,} attention weights."
    )


def error_responses(*statuses: int, with_token: bool = False) -> dict[int | str, dict[str, Any]]:
    """Returns the error responses of an operation: the given ones and those that any request may get."""
    possible = sorted({*statuses, *_ANY_REQUEST, *([401] if with_token else [])})
    return {status: {"description": _DESCRIPTIONS[status], "model": Problem} for status in possible}


def token_security(needs_token: bool) -> list[Any]:
    """Returns the bearer scheme for the OpenAPI document; the middleware checks the token."""
    return [Security(HTTPBearer(auto_error=False))] if needs_token else []


def request_body(route: str) -> dict[str, Any]:
    """Returns the OpenAPI description of the body of a route that parses it itself."""
    references = [{"$ref": f"#/components/schemas/{kind.__name__}"} for kind in _REQUEST_SCHEMAS[route]]
    schema = references[0] if len(references) == 1 else {"anyOf": references}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def add_request_schemas(app: FastAPI) -> None:
    """Adds the schemas that `request_body` refers to."""
    document = app.openapi()
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for kind in {kind for kinds in _REQUEST_SCHEMAS.values() for kind in kinds}:
        schemas[kind.__name__] = kind.model_json_schema(ref_template="#/components/schemas/{model}")
