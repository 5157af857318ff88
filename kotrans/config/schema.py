"""The whole config: the sections of training, validation and search, and all of them together."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from kotrans.config.sections import (
    AttentionConfig,
    BatchConfig,
    CleaningConfig,
    CorpusConfig,
    DecoderConfig,
    DropoutConfig,
    EmbeddingConfig,
    EncoderConfig,
    Proportion,
    Section,
    ServeConfig,
    TokenizerConfig,
)

Copying = Annotated[
    Literal["all", "words", "opaque", "none"],
    BeforeValidator(lambda value: {True: "all", False: "none"}[value] if isinstance(value, bool) else value),
]


class TrainingConfig(Section):
    """How the weights are learned. An update is one optimizer step."""

    max_updates: int = Field(20_000, gt=0)
    """Stop after this many updates, counted from the start of the run, not from a resume."""
    max_epochs: int | None = Field(None, gt=0)
    """Stop after this many passes over the training pairs."""
    max_minutes: float | None = Field(None, gt=0)
    """Stop after this much time spent in training and validation, resumed time included. With `cooldown`, the rest is
    counted in updates from where the cooldown begins, and takes about as long."""
    optimizer: Literal["adam", "adamw"] = "adam"
    """Adam (Kingma and Ba 2015), or with decoupled weight decay (Loshchilov and Hutter 2019)."""
    learning_rate: float = Field(0.001, gt=0)
    """The rate, or the highest one where the schedule changes it."""
    betas: tuple[Proportion, Proportion] = (0.9, 0.999)
    """Adam's decay rates of the two moments."""
    epsilon: float = Field(1e-8, gt=0)
    """Adam's epsilon."""
    weight_decay: float = Field(0.0, ge=0)
    """Weight decay of the optimizer."""
    schedule: Literal["constant", "inverse_sqrt", "plateau"] = "inverse_sqrt"
    """`inverse_sqrt` falls with the square root of the update; `plateau` falls when the dev metric stops improving."""
    warmup: int = Field(400, ge=0)
    """Updates of linear warm-up, for every schedule."""
    plateau_factor: float = Field(0.5, gt=0, lt=1)
    """What `plateau` multiplies the rate by."""
    plateau_patience: int = Field(2, ge=0)
    """Validations without improvement that `plateau` waits for."""
    cooldown: Proportion = 0.0
    """Last share of the training, by the limit that comes first, in which the rate falls to 0; 0 is none."""
    clip_norm: float = Field(1.0, gt=0)
    """Largest norm of the gradient; a larger one is scaled down (Pascanu et al. 2013)."""
    accumulate: int = Field(1, ge=1)
    """Batches whose gradients are summed into one update."""
    label_smoothing: Proportion = 0.1
    """Probability spread evenly over the target vocabulary (Szegedy et al. 2016)."""
    scheduled_sampling: Proportion = 0.0
    """Chance that the decoder is fed its own best piece instead of the reference's (Bengio et al. 2015)."""
    ema: Proportion = 0.0
    """Decay of an exponential moving average of the weights, used for validation and translation; 0 is off."""
    tensorboard: bool = False
    """Write the figures for TensorBoard, too, into the run (`pip install 'kotrans[tensorboard]'`)."""


class ValidationConfig(Section):
    """When and how training is measured on the dev split."""

    every: int = Field(500, gt=0)
    """Updates between validations; each saves a checkpoint."""
    metric: Literal["bleu", "perplexity"] = "bleu"
    """What `best`, early stopping and `plateau` go by."""
    patience: int | None = Field(10, gt=0)
    """Stop after this many validations without a new best; null never stops early."""
    sentences: int | None = Field(500, gt=0)
    """Dev sentences that are decoded for BLEU (the first ones); null is all. Perplexity takes all."""
    beam: int = Field(1, ge=1)
    """Beam of that decoding; 1 is greedy."""
    samples: int = Field(2, ge=0)
    """Translations shown at each validation."""


class CheckpointConfig(Section):
    """What a run keeps on disk."""

    keep: int = Field(3, ge=1)
    """Latest checkpoints to keep; the best one stays besides."""
    every: int | None = Field(None, gt=0)
    """Updates between checkpoints besides those of validation."""


class SearchConfig(Section):
    """How translations are looked for."""

    beam: int = Field(5, ge=1, le=1000)
    """Hypotheses kept a step; 1 is greedy."""
    length_penalty: float = Field(1.0, ge=0)
    """Alpha of the length normalisation ((5 + length) / 6) ** alpha (Wu et al. 2016, section 7)."""
    coverage_penalty: float = Field(0.0, ge=0)
    """Beta of the coverage penalty (Wu et al. 2016, section 7)."""
    max_length_ratio: float = Field(2.0, ge=0)
    """A translation has at most this many pieces for each source piece ..."""
    max_length_extra: int = Field(20, ge=1)
    """... and this many more."""
    max_repetitions: int | None = Field(2, ge=1)
    """A translation has a group of up to 16 pieces at most this many times in a row, a single piece once more; null
    lets it loop."""
    copying: Copying = "all"
    """What of the source is put where the translation misspells it, by attention: `opaque` is placeholders, addresses
    and code, `words` Latin words as well, `all` numbers as well, which are compared by value. `true` is `all`, `false`
    is `none`."""
    verbatim_penalty: float = Field(1.0, ge=0)
    """How much lower a translation ranks, in score, for each number (by value), Latin word, placeholder, address or
    piece of code of the source that it lacks."""
    split_sentences: bool | None = None
    """Translate each sentence of a line by itself. `null` is the default of each use: `translate`, the service and the
    Python API do; `eval`, `compare`, `score` and validation take a line whole, as training does."""
    batch: int = Field(64, ge=1)
    """Sentences translated together."""

    @property
    def splits_text(self) -> bool:
        """Whether a line of free text is split into sentences: in `translate`, the service and the Python API."""
        return self.split_sentences is not False

    @property
    def splits_pairs(self) -> bool:
        """Whether the lines of sentence pairs are split: in `eval`, `compare`, `score` and validation."""
        return self.split_sentences is True


class HardwareConfig(Section):
    """Where and in what precision it runs."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """`auto` takes CUDA, else the CPU; `mps` was never tried."""
    precision: Literal["auto", "fp32", "bf16", "int8"] = "auto"
    """Of products; weights stay fp32. `auto` is bf16 on CUDA and CPUs with AMX or AVX512-BF16. A trained model
    is used in fp32 unless `--set` says otherwise; `int8` is for that alone, on a CPU."""
    threads: int | None = Field(None, ge=1)
    """CPU threads, and at most so many processes that prepare or translate text; null is all cores, by affinity and
    quota."""


class Config(Section):
    """Everything a run depends on."""

    name: str = Field(pattern=r"^\w[\w.-]*$", max_length=80)
    """Name of the config, letters of any script; and of its runs unless `--run` names one."""
    seed: int = Field(1, ge=0, lt=2**31)
    """Of the first weights, the order of batches, and dropout."""
    corpora: tuple[CorpusConfig, ...] = Field(min_length=1)
    """What to train, validate and test on."""
    cleaning: CleaningConfig = CleaningConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    batches: BatchConfig = BatchConfig()
    embeddings: EmbeddingConfig = EmbeddingConfig()
    encoder: EncoderConfig = EncoderConfig()
    attention: AttentionConfig = AttentionConfig()
    decoder: DecoderConfig = DecoderConfig()
    dropout: DropoutConfig = DropoutConfig()
    training: TrainingConfig = TrainingConfig()
    validation: ValidationConfig = ValidationConfig()
    checkpoints: CheckpointConfig = CheckpointConfig()
    search: SearchConfig = SearchConfig()
    hardware: HardwareConfig = HardwareConfig()
    serve: ServeConfig = ServeConfig()

    @property
    def passes_through(self) -> bool:
        """True if a line without Korean letters is not translated: training dropped such pairs.

        A model of another direction is trained with `cleaning.min_hangul: 0` and translates every line.
        """
        return self.cleaning.min_hangul > 0

    @property
    def memory_size(self) -> int:
        """Width of the encoder's states h_j: both directions together."""
        return self.encoder.hidden_size * (2 if self.encoder.bidirectional else 1)

    @model_validator(mode="after")
    def corpora_differ_in_name(self) -> Self:
        names = [corpus.name for corpus in self.corpora]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"corpora names {twice[0]!r} twice; give each corpus once, with a weight")
        return self

    @model_validator(mode="after")
    def dot_has_equal_widths(self) -> Self:
        if self.attention.score == "dot" and self.memory_size != self.decoder.hidden_size:
            raise ValueError(
                f"attention.score `dot` needs equal widths, but the encoder's states have {self.memory_size} "
                f"(encoder.hidden_size, both directions) and decoder.hidden_size is {self.decoder.hidden_size}; "
                f"set decoder.hidden_size to {self.memory_size} or take `general`"
            )
        return self

    @model_validator(mode="after")
    def location_knows_its_positions(self) -> Self:
        if self.attention.score == "location" and self.attention.max_source_length is None:
            longest = self.batches.max_pieces + 1  # and the end of the sentence
            raise ValueError(
                "attention.score is `location`, which needs attention.max_source_length; "
                f"set it to {longest}, one more than batches.max_pieces"
            )
        return self

    @model_validator(mode="after")
    def a_lexical_model_looks_by_attention(self) -> Self:
        if self.decoder.lexical and self.attention.score == "none":
            raise ValueError("decoder.lexical needs attention, but attention.score is `none`")
        return self

    @model_validator(mode="after")
    def tying_all_needs_a_joint_vocabulary(self) -> Self:
        if self.embeddings.tie == "all" and not self.tokenizer.joint:
            raise ValueError("embeddings.tie is `all`, which needs tokenizer.joint: true")
        return self
