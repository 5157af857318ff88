"""The sections of the config for corpora, text, model and service: every setting, its default and its bounds."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Cell = Literal["lstm", "gru", "rnn"]
Score = Literal["additive", "cosine", "location", "general", "dot", "none"]
Format = Literal["lines", "tsv", "csv", "jsonl", "tmx", "po", "xlsx", "json", "parquet", "sgm"]
Markup = Literal["none", "rst", "markdown", "html"]
HoldoutUnit = Literal["sentence", "file"]
FileNames = Path | tuple[Path, ...] | None
Proportion = Annotated[float, Field(ge=0, lt=1)]

_ORIGIN = re.compile(r"https?://[^/?#\s]+")


class Section(BaseModel):
    """Base class of sections: unknown keys are refused, values are validated, and instances are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


class SplitFiles(Section):
    """One parallel text: two line-aligned files, or one file with both sides."""

    source: Path | None = None
    target: Path | None = None
    path: Path | None = None

    @model_validator(mode="after")
    def names_one_file_or_two(self) -> Self:
        _check_sides(self.source, self.target, self.path)
        return self


class SplitConfig(Section):
    """Files of one split. Each entry is a file, a pattern (`data/**/*.xlsx`), or a list of these."""

    source: FileNames = None
    """Files of Korean lines (`format: lines`). The files of a pattern are sorted by name."""
    target: FileNames = None
    """Files of English lines; line N translates line N of `source`. As many files as `source`, in the same order."""
    path: FileNames = None
    """Files with both sides (every other format)."""

    @field_validator("source", "target", "path", mode="before")
    @classmethod
    def is_a_name_or_a_list_of_names(cls, value: object) -> object:
        names = list(value) if isinstance(value, list | tuple) else [value]
        if value is not None and not (names and all(name and isinstance(name, str | Path) for name in names)):
            raise ValueError("should be a file, a pattern such as data/*.tsv, or a list of these")
        if odd := next((str(name) for name in names if value is not None and not str(name).isprintable()), None):
            raise ValueError(
                f"{odd!r} contains control characters; in double quotes a backslash begins an escape: "
                "use single quotes, or / between folders"
            )
        return value

    @model_validator(mode="after")
    def names_both_sides(self) -> Self:
        _check_sides(self.source, self.target, self.path)
        return self


def _check_sides(source: object, target: object, path: object) -> None:
    both, neither = source is not None and target is not None, source is None and target is None
    if not ((both and path is None) or (neither and path is not None)):
        raise ValueError("set either `source` and `target` (two line-aligned files) or `path` (one file)")


class Fields(Section):
    """Names of the two sides in a file: columns, JSON fields or TMX languages."""

    source: str = "ko"
    """Name of the Korean column, field or language (AI-Hub: `원문`). In a table without a header, the number of the
    column, from 1."""
    target: str = "en"
    """Name of the English column, field or language (AI-Hub: `번역문`), or the number of the column."""
    sheet: str | None = None
    """Name of the Excel sheet; null reads all sheets that have both columns."""

    @field_validator("source", "target", mode="before")
    @classmethod
    def a_column_may_be_a_whole_number(cls, value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class CorpusCleaningConfig(Section):
    """Rules of `cleaning` with another value for one corpus; null is the value of `cleaning`."""

    max_malformed: float | None = Field(None, ge=0, le=1)
    """See `cleaning.max_malformed`."""
    equal_sides: bool | None = None
    """See `cleaning.equal_sides`."""
    max_characters: int | None = Field(None, gt=0)
    """See `cleaning.max_characters`."""
    max_length_ratio: float | None = Field(None, gt=1)
    """See `cleaning.max_length_ratio`."""
    min_hangul: Proportion | None = None
    """See `cleaning.min_hangul`."""
    max_hangul_target: float | None = Field(None, ge=0, le=1)
    """See `cleaning.max_hangul_target`."""
    numbers: bool | None = None
    """See `cleaning.numbers`."""


class TranslatedConfig(Section):
    """A side of the training text that a trained model makes by translating the other one."""

    side: Literal["source", "target"] = "target"
    """Side to make: `target` for distillation, `source` for back-translation."""
    run: str
    """Run that translates; of several runs, RUN/CHECKPOINT is the name of one. For `source`, one that was trained with
    exchanged sides."""
    settings: tuple[str, ...] = ()
    """Settings of its search and hardware, as `--set` takes them."""


class CorpusConfig(Section):
    """A corpus listed by `kotrans corpora`, or files of your own."""

    name: str
    """Name of a corpus listed by `kotrans corpora`, `opus:NAME/VERSION`, `hf:OWNER/NAME@REVISION/PATH`, or any name for
    files of your own."""
    weight: float = Field(1.0, gt=0, le=100)
    """Number of times that its pairs occur per epoch; 0.5 draws a random half in each epoch."""
    format: Format | None = None
    """Format of your own files; omit it for a listed corpus."""
    fields: Fields = Fields()
    splits: dict[str, SplitConfig] = {}
    """Files of `train`, `dev`, `test` and any other split to evaluate."""
    holdout: dict[str, int] = {}
    """Number of pairs to move from `train` into each of these splits, selected by a hash of the sentence."""
    holdout_by: HoldoutUnit | None = None
    """What is held out: single `sentence` pairs, or all pairs of a `file`, as where each file is a document (default:
    `sentence`; a listed corpus has its own)."""
    markup: Markup | None = None
    """Markup to remove from both sides: `rst` (reStructuredText), `markdown`, `html` or `none` (default: `none`; a
    listed corpus has its own)."""
    split_sentences: bool | None = None
    """Make a pair of each sentence where both sides of a pair have equally many (default: false; a listed corpus has
    its own)."""
    cleaning: CorpusCleaningConfig = CorpusCleaningConfig()
    translated: TranslatedConfig | None = None
    """Makes the missing file of `train` by translating the other one, before it is read."""

    @model_validator(mode="after")
    def own_files_have_a_format(self) -> Self:
        if bool(self.splits) != (self.format is not None):
            raise ValueError(
                f"corpus {self.name!r}: own files need both `format` and `splits`; a listed corpus needs neither"
            )
        return self


class CleaningConfig(Section):
    """Rules that drop training pairs; the dropped pairs are counted per rule."""

    max_malformed: float = Field(0.01, ge=0, le=1)
    """Largest proportion of unreadable records in a file. Fewer are skipped and counted; more are an error."""
    equal_sides: bool = True
    """Drop pairs whose sides are identical."""
    duplicates: bool = True
    """Drop repeated pairs, except for the first."""
    contamination: bool = True
    """Drop pairs that also occur in dev, test or another held-out split, or that share a side of four or more words
    with one."""
    max_held_out_overlap: float = Field(1.0, gt=0, le=1)
    """Drop pairs of which a side shares a larger proportion of its sequences of three words with a held-out sentence
    (of the shorter one's sequences, at least four); 1 keeps all. Needs `contamination`."""
    max_target_occurrences: int | None = Field(None, ge=1)
    """Drop pairs whose English side, without case and punctuation, occurred this many times before with another Korean
    side, such as "Thank you."; null keeps all."""
    max_characters: int = Field(1000, gt=0)
    """Drop pairs with a side of more characters."""
    max_length_ratio: float = Field(9.0, gt=1)
    """Drop pairs with a larger ratio between the lengths in characters, where English counts half."""
    min_hangul: Proportion = 0.1
    """Drop pairs whose Korean side has a smaller proportion of words with Hangul; 0 keeps all, and also makes the model
    translate lines without Korean."""
    max_hangul_target: float = Field(0.1, ge=0, le=1)
    """Drop pairs whose English side has a larger proportion of Hangul among its letters; 1 keeps all."""
    numbers: bool = False
    """Drop pairs in which a number in digits on one side has no number of the same value on the other."""


class TokenizerConfig(Section):
    """The sentencepiece models (Kudo and Richardson 2018)."""

    model: Literal["bpe", "unigram"] = "bpe"
    """Type of subword model."""
    joint: bool = False
    """Use one vocabulary for both languages instead of one for each."""
    vocabulary_size: int = Field(4000, ge=300, le=128_000)
    """Number of pieces in each vocabulary. Smaller for little text, larger for millions of pairs."""
    character_coverage: float = Field(0.9995, gt=0.9, le=1)
    """Proportion of the characters of the training text that get a piece of their own."""
    byte_fallback: bool = True
    """Spell other characters as bytes, so that no text is unknown."""
    split_digits: bool = False
    """Make every digit a piece of its own, which helps to copy numbers."""
    normalization: Literal["nfkc", "identity"] = "identity"
    """Additional normalization by sentencepiece; `nfkc` also converts full-width characters, for example."""
    sampling: Proportion = 0.0
    """BPE-dropout (Provilkov et al. 2020): probability of skipping a merge, drawn in every epoch; 0 disables it."""

    @model_validator(mode="after")
    def sampling_leaves_out_merges(self) -> Self:
        if self.sampling and self.model != "bpe":
            raise ValueError("tokenizer.sampling is BPE-dropout, which needs tokenizer.model: bpe")
        return self


class BatchConfig(Section):
    """Grouping of training pairs into batches."""

    tokens: int = Field(4096, ge=16)
    """Maximum number of target pieces per batch, including padding; the source side has the same limit."""
    max_pieces: int = Field(100, ge=4)
    """Skip training pairs with more pieces on a side. Longer sentences are translated in parts."""


class EmbeddingConfig(Section):
    """Embeddings of pieces."""

    size: int = Field(256, gt=0)
    """Width of source and target embeddings."""
    tie: Literal["none", "decoder", "all"] = "none"
    """Shared matrices: `decoder` ties target embedding and softmax, `all` also the source embedding (needs
    `tokenizer.joint`)."""


class EncoderConfig(Section):
    """The recurrent encoder."""

    cell: Cell = "lstm"
    """Type of recurrent cell."""
    bidirectional: bool = True
    """Read the sentence in both directions."""
    layers: int = Field(1, ge=1, le=16)
    """Number of stacked layers."""
    hidden_size: int = Field(256, gt=0)
    """Width of each direction."""
    layer_norm: bool = False
    """Apply layer normalization to the gates of the cells (Ba et al. 2016, arXiv 1607.06450)."""


class AttentionConfig(Section):
    """Attention of the decoder to the source."""

    score: Score = "additive"
    """Score function; `none` is a model without attention, with one context vector per sentence."""
    size: int = Field(256, gt=0)
    """Width of the hidden layer of `additive`."""
    beta: Literal["learned", "fixed"] = "learned"
    """Key strength of `cosine`: one learned positive number, or 1."""
    scale: bool = False
    """Divide the scores of `dot` and `general` by the square root of the width."""
    max_source_length: int | None = Field(None, gt=0)
    """Maximum number of source pieces; required by `location`, unused by the others."""

    @model_validator(mode="after")
    def only_products_are_scaled(self) -> Self:
        if self.scale and self.score not in ("dot", "general"):
            raise ValueError(f"attention.scale is for `dot` and `general`, but attention.score is `{self.score}`")
        return self


class DecoderConfig(Section):
    """The recurrent decoder."""

    cell: Cell = "lstm"
    """Type of recurrent cell."""
    layers: int = Field(1, ge=1, le=16)
    """Number of layers. The first one computes and receives the attention; the others are residual."""
    hidden_size: int = Field(512, gt=0)
    """Width of the decoder state."""
    layer_norm: bool = False
    """Apply layer normalization to the gates of the cells (Ba et al. 2016, arXiv 1607.06450)."""
    lexical: bool = False
    """Lexical model: the softmax also receives the attended source embeddings (Nguyen and Chiang 2018). Often better
    for rare words and small corpora."""


class DropoutConfig(Section):
    """Dropout probabilities, in training only. Increase them for small corpora."""

    embedding: Proportion = 0.2
    """Elements of the embeddings."""
    layers: Proportion = 0.2
    """Elements between encoder layers, between decoder layers, and of the memory."""
    recurrent: Proportion = 0.0
    """Elements of the recurrent state, with one mask per sentence (Gal and Ghahramani 2016)."""
    output: Proportion = 0.2
    """Elements of the deep output layer."""
    source_word: Proportion = 0.0
    """Whole source pieces, by zeroing their embedding (Sennrich et al. 2016)."""
    target_word: Proportion = 0.0
    """Whole target pieces that are fed to the decoder."""


class ServeConfig(Section):
    """Address and limits of `kotrans serve`."""

    host: str = "127.0.0.1"
    """Address to listen on. Any other than a loopback address requires a token."""
    port: int = Field(8000, ge=0, le=65_535)
    """Port to listen on; 0 chooses a free one."""
    allowed_origins: tuple[str, ...] = ()
    """Origins of other web pages that may call the service from a browser, such as `https://example.org`; `*` allows
    all."""
    max_body: int = Field(1_000_000, ge=100)
    """Maximum size of a request body in bytes; a larger one is answered with 413."""
    max_sentences: int = Field(1024, ge=1)
    """Maximum number of sentences per request after splitting; more are answered with 422."""
    max_characters: int = Field(2000, ge=1)
    """Maximum number of characters per line; more are answered with 422."""
    max_beam: int = Field(20, ge=1, le=1000)
    """Maximum beam size of a request; a larger one is answered with 422."""
    max_weights: int = Field(1_000_000, ge=1)
    """Maximum number of attention weights per answer, estimated from the longest possible translations; more are
    answered with 422."""
    max_waiting: int = Field(20_480, ge=1)
    """Maximum number of sentences times beam that wait for the model, of all clients together. A request that would
    exceed it is answered with 503, or with 422 if it exceeds it alone."""
    max_seconds: float = Field(30.0, gt=0, le=3600)
    """Maximum time in seconds for a request to arrive (408), for its translation (504), and for the client to receive
    the answer."""
    max_head_seconds: float = Field(10.0, gt=0, le=3600)
    """Maximum time in seconds from opening a connection to the end of the first request's headers (408)."""
    max_connections: int = Field(512, ge=4)
    """Maximum number of open connections. One more closes the oldest idle connection, or is answered with 503. Lower if
    the limit of open files is lower."""
    max_memory: int = Field(1_000_000_000, ge=10_000_000)
    """Memory in bytes per process for concurrent translations, in addition to the model. Sentences that do not fit
    wait; one that never fits is answered with 422."""

    @field_validator("allowed_origins")
    @classmethod
    def are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is not an origin; write scheme and host, such as https://example.org")
        return origins
