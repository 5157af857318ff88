"""The complete config, and its sections for training, validation, checkpoints, search and hardware."""

from pathlib import Path
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
    """Optimization. An update is one optimizer step."""

    max_updates: int = Field(20_000, gt=0)
    """Maximum number of updates, counted from the start of the run (not from a resume)."""
    max_epochs: int | None = Field(None, gt=0)
    """Maximum number of passes over the training pairs; null sets no limit."""
    max_minutes: float | None = Field(None, gt=0)
    """Maximum time in minutes for training and validation, including the time before a resume; null sets no limit. With
    `cooldown`, the remaining time is converted to updates when the cooldown begins."""
    optimizer: Literal["adam", "adamw"] = "adam"
    """Adam (Kingma and Ba 2015), or AdamW with decoupled weight decay (Loshchilov and Hutter 2019)."""
    learning_rate: float = Field(0.001, gt=0)
    """Learning rate after the warm-up, which is the highest one. Lower it if the loss diverges."""
    betas: tuple[Proportion, Proportion] = (0.9, 0.999)
    """Adam's decay rates of the first and second moment."""
    epsilon: float = Field(1e-8, gt=0)
    """Adam's epsilon."""
    weight_decay: float = Field(0.0, ge=0)
    """Weight decay of the optimizer."""
    schedule: Literal["constant", "inverse_sqrt", "plateau"] = "inverse_sqrt"
    """Learning rate schedule: `inverse_sqrt` decays with the inverse square root of the update, `plateau` when the
    validation metric stops improving."""
    warmup: int = Field(400, ge=0)
    """Number of updates of linear warm-up, for every schedule."""
    plateau_factor: float = Field(0.5, gt=0, lt=1)
    """Factor by which `plateau` multiplies the learning rate."""
    plateau_patience: int = Field(2, ge=0)
    """Number of validations without improvement before `plateau` lowers the learning rate."""
    cooldown: Proportion = 0.0
    """Final proportion of the training, up to the first limit, in which the learning rate falls linearly to 0; 0
    disables it."""
    clip_norm: float = Field(1.0, gt=0)
    """Maximum norm of the gradient; a larger gradient is scaled down (Pascanu et al. 2013)."""
    accumulate: int = Field(1, ge=1)
    """Number of batches per update, whose gradients are summed. Increase it for larger batches in the same memory."""
    label_smoothing: Proportion = 0.1
    """Probability mass that is spread uniformly over the target vocabulary (Szegedy et al. 2016)."""
    scheduled_sampling: Proportion = 0.0
    """Probability of feeding the decoder its own best piece instead of the reference piece (Bengio et al. 2015)."""
    ema: Proportion = 0.0
    """Decay of the exponential moving average of the weights, which validation and translation use; 0 disables it."""
    tensorboard: bool = False
    """Also write the metrics for TensorBoard into the run folder (`pip install 'kotrans[tensorboard]'`)."""


class ValidationConfig(Section):
    """Evaluation on the dev split during training."""

    every: int = Field(500, gt=0)
    """Number of updates between validations; each validation saves a checkpoint."""
    metric: Literal["bleu", "perplexity"] = "bleu"
    """Metric that selects the best checkpoint, and that early stopping and `plateau` use."""
    patience: int | None = Field(10, gt=0)
    """Stop after this many validations without improvement; null disables early stopping."""
    sentences: int | None = Field(500, gt=0)
    """Number of dev sentences that are translated for BLEU, from the beginning; null is all. Perplexity always uses
    all."""
    beam: int = Field(1, ge=1)
    """Beam size of these translations; 1 is greedy search."""
    samples: int = Field(2, ge=0)
    """Number of example translations that are shown at each validation."""


class CheckpointConfig(Section):
    """Checkpoints on disk."""

    keep: int = Field(3, ge=1)
    """Number of latest checkpoints to keep, in addition to the best one."""
    every: int | None = Field(None, gt=0)
    """Number of updates between additional checkpoints; null saves only at validations."""


class SearchConfig(Section):
    """Beam search, and corrections of its translations."""

    beam: int = Field(5, ge=1, le=1000)
    """Beam size (hypotheses kept per step); 1 is greedy search."""
    length_penalty: float = Field(1.0, ge=0)
    """Exponent alpha of the length penalty ((5 + length) / 6) ** alpha (Wu et al. 2016, section 7). Larger values
    favour longer translations."""
    coverage_penalty: float = Field(0.0, ge=0)
    """Weight beta of the coverage penalty (Wu et al. 2016, section 7), which reduces omissions; 0 disables it."""
    max_length_ratio: float = Field(2.0, ge=0)
    """Maximum number of translation pieces per source piece, to which `max_length_extra` is added."""
    max_length_extra: int = Field(20, ge=1)
    """Number of translation pieces allowed in addition to `max_length_ratio`."""
    max_repetitions: int | None = Field(2, ge=1)
    """Maximum number of consecutive repetitions of a group of up to 16 pieces, and one more of a single piece; null
    allows loops."""
    copying: Copying = "all"
    """Literals of the source that replace misspelt ones in the translation, located by attention: `opaque` is
    placeholders, addresses and code; `words` adds Latin words; `all` adds numbers, which are compared by value. `true`
    is `all`, `false` is `none`."""
    verbatim_penalty: float = Field(1.0, ge=0)
    """Penalty on the ranking score of a translation for each number (by value), Latin word, placeholder, address or
    piece of code of the source that it lacks; 0 disables it."""
    split_sentences: bool | None = None
    """Translate each sentence of a line separately. `null` depends on the use: `translate`, the service and the Python
    API do; `eval`, `compare`, `score` and validation do not, like training."""
    shortlist: int | None = Field(None, ge=1, le=100)
    """Search only among the target pieces of a shortlist: this many probable translations of each source piece, as many
    frequent pieces, and all characters. Faster for large vocabularies; only with onnxruntime. `null` searches among all
    pieces."""
    glossary: Path | None = None
    """File of terms that translations must contain: a Korean term, a tab and its English translation per line. It is
    matched with particles and endings, and enforced by constrained beam search, with a beam of up to 16."""
    prefix: str = ""
    """Text with which the translation of each line begins."""
    sample: bool = False
    """Draw translations at random instead of searching for the most probable one."""
    temperature: float = Field(1.0, gt=0, le=10)
    """Divisor of the log-probabilities that `sample` draws from; smaller values make improbable pieces rarer."""
    top_k: int | None = Field(None, ge=1)
    """Number of most probable pieces that `sample` draws from at each step; null is all."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Probability of the most probable pieces that `sample` draws from at each step; 1 is all."""
    seed: int = Field(1, ge=0, lt=2**31)
    """Random seed of `sample`. With the same seed, a sentence has the same sample wherever it occurs."""
    batch: int = Field(64, ge=1)
    """Number of sentences translated together. Lower it if memory runs out."""

    @model_validator(mode="after")
    def samples_have_no_constraints(self) -> Self:
        if self.sample and (self.glossary or self.prefix):
            raise ValueError("search.sample cannot be combined with search.glossary or search.prefix; set one of them")
        return self

    @property
    def splits_text(self) -> bool:
        """Whether lines of free text are split into sentences: in `translate`, the service and the Python API."""
        return self.split_sentences is not False

    @property
    def splits_pairs(self) -> bool:
        """Whether lines of sentence pairs are split into sentences: in `eval`, `compare`, `score` and validation."""
        return self.split_sentences is True


class HardwareConfig(Section):
    """Device, precision and threads."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Device; `auto` is CUDA if available, else the CPU. `mps` is untested."""
    engine: Literal["auto", "torch", "onnxruntime"] = "auto"
    """Engine that translates; `auto` is torch on a GPU and onnxruntime on a CPU, which is faster there and starts
    without PyTorch. Training always uses torch."""
    precision: Literal["auto", "fp32", "bf16", "int8"] = "auto"
    """Precision of matrix products. In training, `auto` is bf16 on GPUs and CPUs that support it (AMX or AVX512-BF16).
    Trained models translate in fp32 unless `--set` changes it; `auto` is then int8 on a CPU if a short test finds it
    faster. `int8` is only for translation with onnxruntime, `bf16` only for torch."""
    threads: int | None = Field(None, ge=1)
    """Number of CPU threads, and maximum number of processes that prepare or translate text; null is all available
    cores, by affinity and quota."""


class Config(Section):
    """All settings of a run."""

    name: str = Field(pattern=r"^\w[\w.-]*$", max_length=80)
    """Name of the config (default: the file name), and of its runs unless `--run` is given."""
    seed: int = Field(1, ge=0, lt=2**31)
    """Random seed of the initial weights, the order of batches, and dropout."""
    corpora: tuple[CorpusConfig, ...] = Field(min_length=1)
    """Corpora for training, validation and testing."""
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

    def cleaning_of(self, corpus: CorpusConfig) -> CleaningConfig:
        """The rules for one corpus: `cleaning` with the corpus's own values."""
        return self.cleaning.model_copy(update=corpus.cleaning.model_dump(exclude_none=True))

    @property
    def passes_through(self) -> bool:
        """Whether lines without Korean are passed through untranslated, because training dropped such pairs.

        A model for another direction is trained with `cleaning.min_hangul: 0` and translates every line.
        """
        return self.cleaning.min_hangul > 0

    @property
    def memory_size(self) -> int:
        """Width of the encoder's states h_j, both directions together."""
        return self.encoder.hidden_size * (2 if self.encoder.bidirectional else 1)

    @model_validator(mode="after")
    def corpora_differ_in_name(self) -> Self:
        names = [corpus.name for corpus in self.corpora]
        if duplicates := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"corpora lists {duplicates[0]!r} twice; list each corpus once, with a weight")
        return self

    @model_validator(mode="after")
    def dot_has_equal_widths(self) -> Self:
        if self.attention.score == "dot" and self.memory_size != self.decoder.hidden_size:
            raise ValueError(
                f"attention.score `dot` needs equal widths, but the encoder's states have {self.memory_size} "
                f"(encoder.hidden_size, both directions) and decoder.hidden_size is {self.decoder.hidden_size}; "
                f"set decoder.hidden_size to {self.memory_size} or use `general`"
            )
        return self

    @model_validator(mode="after")
    def location_knows_its_positions(self) -> Self:
        if self.attention.score == "location" and self.attention.max_source_length is None:
            longest = self.batches.max_pieces + 1  # with the end of the sentence
            raise ValueError(
                "attention.score is `location`, which needs attention.max_source_length; "
                f"set it to {longest}, one more than batches.max_pieces"
            )
        return self

    @model_validator(mode="after")
    def a_lexical_model_has_attention(self) -> Self:
        if self.decoder.lexical and self.attention.score == "none":
            raise ValueError("decoder.lexical needs attention, but attention.score is `none`")
        return self

    @model_validator(mode="after")
    def tying_all_needs_a_joint_vocabulary(self) -> Self:
        if self.embeddings.tie == "all" and not self.tokenizer.joint:
            raise ValueError("embeddings.tie is `all`, which needs tokenizer.joint: true")
        return self
