"""The typed config: every setting, its default, its bounds, and the combinations that cannot be.

The `serve` section: address, allowed origins and limits.
"""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Cell = Literal["lstm", "gru", "rnn"]
Score = Literal["additive", "cosine", "location", "general", "dot", "none"]
Format = Literal["lines", "tsv", "csv", "jsonl", "tmx", "po", "xlsx", "json"]
Proportion = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """Unknown keys are refused, values are checked, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


class SplitFiles(Section):
    """One text: two line-aligned files, or one file that holds both sides."""

    source: Path | None = None
    target: Path | None = None
    path: Path | None = None

    @model_validator(mode="after")
    def names_one_file_or_two(self) -> Self:
        _check_sides(self.source, self.target, self.path)
        return self


class SplitConfig(Section):
    """Where the text of one split is. Each entry is a file, a pattern (`data/**/*.xlsx`), or a list of these."""

    source: Path | tuple[Path, ...] | None = None
    """Korean lines (`format: lines`); the files of a pattern are sorted by name."""
    target: Path | tuple[Path, ...] | None = None
    """English lines, line N translating line N of `source`; as many files as there, in the same order."""
    path: Path | tuple[Path, ...] | None = None
    """Files with both sides (every other format)."""

    @field_validator("source", "target", "path", mode="before")
    @classmethod
    def is_a_name_or_a_list_of_names(cls, value: object) -> object:
        names = list(value) if isinstance(value, list | tuple) else [value]
        if value is not None and not (names and all(name and isinstance(name, str | Path) for name in names)):
            raise ValueError("should be a file, a pattern such as data/*.tsv, or a list of these")
        if odd := next((str(name) for name in names if value is not None and not str(name).isprintable()), None):
            raise ValueError(
                f"{odd!r} holds control characters; inside double quotes YAML takes a backslash for an escape: "
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
        raise ValueError("give either `source` and `target` (two line-aligned files) or `path` (one file)")


class Fields(Section):
    """What the two sides are called in a file that names them: columns, JSON fields, TMX languages."""

    source: str = "ko"
    """Name of the Korean side; AI-Hub calls it `원문`."""
    target: str = "en"
    """Name of the English side; AI-Hub calls it `번역문`."""
    sheet: str | None = None
    """Name of the Excel sheet; null reads every sheet that has both columns."""

    @field_validator("source", "target", mode="before")
    @classmethod
    def a_column_may_be_a_whole_number(cls, value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class CorpusConfig(Section):
    """A corpus: a name that `kotrans corpora` lists, or your own files under a name of your own."""

    name: str
    """A corpus of `kotrans corpora`, or any name for your own files."""
    weight: float = Field(1.0, gt=0, le=100)
    """How often its pairs occur in an epoch: 2 is twice, 0.5 is half of them, drawn anew each epoch."""
    format: Format | None = None
    """Format of your own files; left out for a listed corpus."""
    fields: Fields = Fields()
    """Names of the sides in every format but lines."""
    splits: dict[str, SplitConfig] = {}
    """`train`, `dev`, `test` and any other split you want to score."""
    holdout: dict[str, int] = {}
    """Splits to take out of `train`, with their numbers of pairs, by a hash of the sentence."""

    @model_validator(mode="after")
    def own_files_have_a_format(self) -> Self:
        if bool(self.splits) != (self.format is not None):
            raise ValueError(
                f"corpus {self.name!r}: own files need both `format` and `splits`; a listed corpus neither"
            )
        return self


class CleaningConfig(Section):
    """Which training pairs are dropped; each rule is counted under its name."""

    max_malformed: float = Field(0.01, ge=0, le=1)
    """Refuse a file with a larger share of records that cannot be read; each of fewer costs itself alone."""
    equal_sides: bool = True
    """Drop a pair whose sides are the same."""
    duplicates: bool = True
    """Drop a pair that occurred before."""
    contamination: bool = True
    """Drop a pair that also is in dev, test or another held-out split, or has a side of four or more words that is."""
    max_characters: int = Field(1000, gt=0)
    """Drop a pair with a longer side."""
    max_length_ratio: float = Field(9.0, gt=1)
    """Drop a pair whose sides differ more than this many times in characters, English counted half."""
    min_hangul: Proportion = 0.1
    """Drop a pair whose Korean side has a smaller share of words with Hangul among its words; 0 drops none."""
    max_hangul_target: float = Field(0.1, ge=0, le=1)
    """Drop a pair whose English side has a larger share of Hangul among its letters; 1 drops none."""


class TokenizerConfig(Section):
    """The sentencepiece models (Kudo and Richardson 2018)."""

    model: Literal["bpe", "unigram"] = "bpe"
    """Kind of subword model."""
    joint: bool = False
    """One vocabulary for both languages instead of one each."""
    vocabulary_size: int = Field(4000, ge=300, le=128_000)
    """Pieces in each vocabulary."""
    character_coverage: float = Field(0.9995, gt=0.9, le=1)
    """Share of characters that get a piece of their own."""
    byte_fallback: bool = True
    """Spell other characters in bytes, so that nothing is ever unknown."""
    split_digits: bool = False
    """Make every digit a piece of its own, so that a model learns to copy any number."""
    normalization: Literal["nfkc", "identity"] = "identity"
    """Sentencepiece's own normalisation, after ours."""
    sampling: Proportion = 0.0
    """BPE-dropout: probability of leaving a merge out, other ones in every epoch (Provilkov et al. 2020); 0 is off."""

    @model_validator(mode="after")
    def sampling_leaves_out_merges(self) -> Self:
        if self.sampling and self.model != "bpe":
            raise ValueError("tokenizer.sampling is BPE-dropout, which needs tokenizer.model: bpe")
        return self


class BatchConfig(Section):
    """How training pairs are grouped."""

    tokens: int = Field(4096, ge=16)
    """Most target tokens in a batch, padding counted; the source side obeys it too."""
    max_pieces: int = Field(100, ge=4)
    """A pair with a longer side in pieces is not trained on; counted at preparation."""


class EmbeddingConfig(Section):
    """Piece embeddings."""

    size: int = Field(256, gt=0)
    """Width of source and target embeddings."""
    tie: Literal["none", "decoder", "all"] = "none"
    """Shared matrices: `decoder` ties target embedding and softmax, `all` the source too (joint vocabulary)."""


class EncoderConfig(Section):
    """The recurrent encoder."""

    cell: Cell = "lstm"
    """Recurrent cell."""
    bidirectional: bool = True
    """Read the sentence both ways."""
    layers: int = Field(1, ge=1, le=16)
    """Stacked layers."""
    hidden_size: int = Field(256, gt=0)
    """Width of each direction."""
    layer_norm: bool = False
    """Layer normalisation in the gates of the cells (Ba et al. 2016, arXiv 1607.06450)."""


class AttentionConfig(Section):
    """How a target step looks at the source."""

    score: Score = "additive"
    """Score function; `none` is the fixed-context model."""
    size: int = Field(256, gt=0)
    """Width of the hidden layer of `additive`."""
    beta: Literal["learned", "fixed"] = "learned"
    """Key strength of `cosine`: one learned positive number, or 1."""
    scale: bool = False
    """Divide the scores of `dot` and `general` by the square root of the width."""
    max_source_length: int | None = Field(None, gt=0)
    """Most source pieces, needed by `location`."""

    @model_validator(mode="after")
    def only_products_are_scaled(self) -> Self:
        if self.scale and self.score not in ("dot", "general"):
            raise ValueError(f"attention.scale is for `dot` and `general`, but attention.score is `{self.score}`")
        return self


class DecoderConfig(Section):
    """The recurrent decoder."""

    cell: Cell = "lstm"
    """Recurrent cell."""
    layers: int = Field(1, ge=1, le=16)
    """Layers; attention is read and fed at the first, the others are residual."""
    hidden_size: int = Field(512, gt=0)
    """Width of the decoder state."""
    layer_norm: bool = False
    """Layer normalisation in the gates of the cells (Ba et al. 2016, arXiv 1607.06450)."""
    lexical: bool = False
    """Lexical model: the softmax reads the source embeddings looked at, too (Nguyen and Chiang 2018)."""


class DropoutConfig(Section):
    """Regularisation by leaving things out, in training only."""

    embedding: Proportion = 0.2
    """Elements of the embedded pieces."""
    layers: Proportion = 0.2
    """Elements between encoder layers, between decoder layers, and of the memory."""
    recurrent: Proportion = 0.0
    """Elements of the recurrent state, one mask a sentence (Gal and Ghahramani 2016)."""
    output: Proportion = 0.2
    """Elements of the deep output layer."""
    source_word: Proportion = 0.0
    """Whole source pieces, their embedding zeroed (Sennrich et al. 2016)."""
    target_word: Proportion = 0.0
    """Whole target pieces fed to the decoder."""


_ORIGIN = re.compile(r"https?://[^/?#\s]+")


class ServeConfig(Section):
    """Where `kotrans serve` listens, and its limits."""

    host: str = "127.0.0.1"
    """Address to listen on; any but a loopback address needs a token."""
    port: int = Field(8000, ge=0, le=65_535)
    """Port; 0 takes a free one."""
    allowed_origins: tuple[str, ...] = ()
    """Origins of other pages that may use the service from a browser, such as `https://example.org`; `*` is all."""
    max_body: int = Field(1_000_000, ge=100)
    """Bytes of a request; more is answered 413."""
    max_sentences: int = Field(1024, ge=1)
    """Sentences of a request, counted after its texts are cut; more is answered 422."""
    max_characters: int = Field(2000, ge=1)
    """Characters of a line; more is answered 422."""
    max_beam: int = Field(20, ge=1, le=1000)
    """Beam of a request; more is answered 422."""
    max_weights: int = Field(1_000_000, ge=1)
    """Attention weights of an answer, computed from the longest translations possible; more is answered 422."""
    max_waiting: int = Field(20_480, ge=1)
    """Sentences times beam, of all clients, that wait for the model; a request that would make it more is answered
    503, and one that has more by itself 422."""
    max_seconds: float = Field(30.0, gt=0, le=3600)
    """Until a request has come (else 408), from then until it is translated (else 504), and for a client to take the
    answer."""
    max_head_seconds: float = Field(10.0, gt=0, le=3600)
    """From the opening of a connection until the head of its first request has come (else 408)."""
    max_connections: int = Field(512, ge=4)
    """Connections; one more closes the oldest that has no request, else it is answered 503. Fewer where the limit of
    open files is lower."""
    max_memory: int = Field(1_000_000_000, ge=10_000_000)
    """Bytes that a process may take for all that it translates at the same time, beyond the model; what does not fit
    waits, and what can never fit is answered 422."""

    @field_validator("allowed_origins")
    @classmethod
    def are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is not an origin; write scheme and host, such as https://example.org")
        return origins
