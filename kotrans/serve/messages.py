"""What the service takes and gives, as JSON. The OpenAPI document is made of these classes."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

# Shape key: T target pieces, S source pieces, U target words, R source words.


class Message(BaseModel):
    """Unknown keys are refused, and no value is taken for one of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


class TranslateRequest(Message):
    """What to translate, and how."""

    text: str | list[str]
    """A Korean sentence, or a list of them."""
    beam: int | None = Field(None, ge=1)
    """Hypotheses kept a step, 1 is greedy; if left out the beam of the model's own config, or `n_best` if that is
    more."""
    n_best: int = Field(1, ge=1)
    """Translations of each sentence; at most the beam."""
    attention: bool = False
    """Say what each translation looked at."""

    @field_validator("text", mode="before")
    @classmethod
    def first_that_is_no_text(cls, text: Any) -> Any:
        """Told alone: there may be as many as the body has bytes."""
        odd = (
            next((n for n, each in enumerate(text) if not isinstance(each, str)), None) if type(text) is list else None
        )
        if odd is not None:
            raise ValueError(f"item {odd} of the list should be a valid string")
        return text


class Attention(Message):
    """What a translation looked at: by pieces as the model did, and by words as people read."""

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
    """One translation of a sentence."""

    text: str
    """The translation, with literals copied from the source where the model misspelt them."""
    score: float
    """The log-probability, normalised by length, the mean of all parts. The list is sorted, part by part, by this less
    `search.verbatim_penalty` for each literal of the source that the model's own text lacks."""
    finished: bool
    """False if it was cut at the maximum length."""
    attention: Attention | None
    """Null if it was not asked for, the sentence is blank, or the model has no attention."""


class TranslatedSentence(Message):
    """A sentence and its translations."""

    text: str
    """The best translation."""
    parts: int
    """How many were translated by themselves: sentences, and parts of those longer than any of training; 0 if it is
    blank."""
    hypotheses: list[Hypothesis]
    """The best `n_best`, fewer if the model found no more."""


class TranslateResponse(Message):
    """The translations, in the order of the sentences."""

    translations: list[TranslatedSentence]
    """One for each sentence."""
    model: str
    """Run and checkpoint."""
    beam: int
    """Hypotheses kept a step."""
    waited_seconds: float
    """From the arrival of the request until the model began."""
    translated_seconds: float
    """From then until the last sentence was translated."""


class Health(Message):
    """That the service works."""

    status: str
    """`ok`."""
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
