"""Subword vocabularies, trained with sentencepiece (Kudo and Richardson 2018): text to ids and back.

Also detects lines that are unlike the training text.
"""

import base64
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from random import Random
from typing import Literal, Self

import numpy as np
import sentencepiece
from pydantic import ValidationError

from kotrans.config.sections import Section, TokenizerConfig
from kotrans.data.bpe_dropout import BpeDropout
from kotrans.data.subword_training import LineSample, escape, learn_models, unescape
from kotrans.errors import DataError
from kotrans.storage.files import content_key, new_directory, read_bytes, sha256, write_json
from kotrans.text.normalization import normalize

PAD, BOS, EOS, UNK = range(4)
_SPECIAL = {"pad_id": PAD, "bos_id": BOS, "eos_id": EOS, "unk_id": UNK}

_FORMAT = 2  # part of the key; increase it when the same text and settings give another model
_MAX_LINES = {"bpe": 1_000_000, "unigram": 150_000}  # per side; more text takes minutes and changes few pieces
_MAX_BYTES = 128 * 2**20  # per side; sentencepiece needs up to seven times as much memory
_FAMILIAR_SHARE = 0.999  # share of training lines below the limit; every corpus has some odd lines
_COST_STEP = 0.1  # nats; costs are stored as multiples of it in one byte


class Familiarity(Section):
    """Costs of pieces in a unigram model of the training text, and the limit of a familiar line.

    The cost of a line is the sum over its pieces per character. It is high if pieces are rare, or if words unknown to
    training are split into many pieces.
    """

    costs: str
    """-ln p of each piece in tenths of a nat, one byte each, in base64."""
    limit: float
    """Cost per character above which a line is unlike the training text."""

    @classmethod
    def measure(cls, lines: Sequence[str], ids: Sequence[Sequence[int]], vocabulary_size: int) -> Self:
        """Computes the costs and the limit from lines of the training text and their ids."""
        counts = np.bincount([i for line in ids for i in line], minlength=vocabulary_size)  # (V,)
        smoothed = counts + 0.5
        steps = np.rint(-np.log(smoothed / smoothed.sum()) / _COST_STEP).clip(0, 255).astype(np.uint8)  # (V,)
        costs = base64.b64encode(steps.tobytes()).decode("ascii")
        without = cls(costs=costs, limit=0)
        each = [without.cost(*line) for line in zip(lines, ids, strict=True)]
        return cls(costs=costs, limit=float(np.quantile(each, _FAMILIAR_SHARE)))

    def cost(self, line: str, ids: Sequence[int]) -> float:
        """Returns the cost of a line per character without spaces, in nats; 0 for a blank line."""
        steps, characters = _decoded(self.costs), len(normalize(line).replace(" ", ""))
        return sum(steps[i] for i in ids) * _COST_STEP / characters if characters else 0.0

    def is_unlike(self, line: str, ids: Sequence[int]) -> bool:
        """Returns true if the line is unlike the training text."""
        return self.cost(line, ids) > self.limit


@lru_cache(maxsize=8)
def _decoded(costs: str) -> bytes:
    return base64.b64decode(costs)


class SideStatistics(Section):
    """Statistics of one side of the training text, measured on a sample."""

    vocabulary_size: int
    """Pieces in the vocabulary, including special ones."""
    lines: int
    """Training lines."""
    left_out: int = 0
    """Lines skipped because of a word too long for sentencepiece."""
    pieces_per_word: float
    """Pieces per space-separated word."""
    byte_share: float
    """Share of pieces that are bytes of characters outside the vocabulary."""


class TokenizerManifest(Section):
    """The inputs, settings and statistics of a tokenizer."""

    stage: Literal["tokenizer"] = "tokenizer"
    key: str
    inputs: dict[str, str]
    """SHA-256 of the text of each side."""
    settings: TokenizerConfig
    seed: int
    models: dict[str, str]
    """SHA-256 of each model file."""
    source: SideStatistics
    target: SideStatistics
    familiarity: Familiarity | None = None
    """Detects source lines unlike the training text; None in older tokenizers."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Reads the manifest of a tokenizer folder. Raises DataError if it is missing or damaged."""
        path = folder / "manifest.json"
        try:
            return cls.model_validate_json(read_bytes(path))
        except ValidationError:
            raise DataError(f"{path}: damaged; delete {folder} and run `kotrans tokenize` again") from None

    @property
    def summary(self) -> str:
        """The statistics in one line."""
        return "; ".join(
            f"{name} {side.vocabulary_size:,} pieces, {side.pieces_per_word:.2f} per word, {side.byte_share:.3%} bytes"
            + (f", {side.left_out:,} lines with an overlong word skipped" if side.left_out else "")
            for name, side in (("source", self.source), ("target", self.target))
        )


def tokenizer_key(config: TokenizerConfig, inputs: Mapping[str, str], seed: int) -> str:
    """Returns the key of the tokenizer trained with these settings; `inputs` has the SHA-256 of `source` and `target`.

    The setting `sampling` does not affect it.
    """
    return content_key([_FORMAT, config.model_dump(exclude={"sampling"}), dict(inputs), seed])


def train_tokenizer(
    config: TokenizerConfig,
    source_file: Path,
    target_file: Path,
    folder: Path,
    seed: int,
    max_lines: int | None = None,
    max_bytes: int = _MAX_BYTES,
) -> TokenizerManifest:
    """Trains the vocabularies of both sides, or a joint one, into a new folder.

    The same text and settings give the same bytes. `seed` selects the lines if there are more than `max_lines`
    (default: 1,000,000 for bpe, 150,000 for unigram) or `max_bytes` per side.
    Raises ConfigError if the vocabulary size does not fit the text.
    """
    files = {"source": source_file, "target": target_file}
    texts = {
        side: LineSample(path, max_lines or _MAX_LINES[config.model], max_bytes, seed) for side, path in files.items()
    }
    models = learn_models(
        config, {"joint": [*texts.values()]} if config.joint else {s: [t] for s, t in texts.items()}, _SPECIAL
    )
    vocabularies = {name: Vocabulary(model) for name, model in models.items()}
    inputs = {side: sha256(path) for side, path in files.items()}
    source = vocabularies.get("joint") or vocabularies["source"]
    with new_directory(folder) as scratch:
        for name, model in models.items():
            (scratch / f"{name}.model").write_bytes(model)
        manifest = TokenizerManifest(
            key=tokenizer_key(config, inputs, seed),
            inputs=inputs,
            settings=config,
            seed=seed,
            models={f"{name}.model": sha256(scratch / f"{name}.model") for name in models},
            source=_measure(source, texts["source"]),
            target=_measure(vocabularies.get("joint") or vocabularies["target"], texts["target"]),
            familiarity=Familiarity.measure(measured := texts["source"].measured, source.encode(measured), source.size),
        )
        write_json(scratch / "manifest.json", manifest.model_dump(mode="json"))
    return manifest


def _measure(vocabulary: "Vocabulary", text: LineSample) -> SideStatistics:
    ids = np.concatenate([np.asarray(line, dtype=np.int64) for line in vocabulary.encode(text.measured)])
    return SideStatistics(
        vocabulary_size=vocabulary.size,
        lines=text.lines,
        left_out=text.left_out,
        pieces_per_word=len(ids) / sum(line.count(" ") + 1 for line in text.measured),
        byte_share=float(vocabulary.is_byte[ids].mean()),
    )


class Vocabulary:
    """The pieces of one side: lines to ids and back."""

    def __init__(self, model: bytes) -> None:
        self.model = model
        self._processor = sentencepiece.SentencePieceProcessor()
        self._processor.load_from_serialized_proto(model)
        self.size: int = self._processor.get_piece_size()
        self.is_byte = np.array([self._processor.is_byte(i) for i in range(self.size)])

    def encode(self, lines: Sequence[str]) -> list[list[int]]:
        """Returns the ids of each line after normalization, without special ids; a blank line has none."""
        return self._processor.encode([escape(normalize(line)) for line in lines], out_type=int)

    def decode(self, ids: Sequence[int]) -> str:
        """Returns the text of the pieces; special ids are ignored.

        With byte fallback and identity normalization it is exactly the normalized line that was encoded, without
        U+FFFD: sentencepiece returns one for each invalid byte, which a model may produce.
        """
        return unescape(self._processor.decode([int(i) for i in ids if i > UNK]).replace("\ufffd", ""))

    def has(self, text: str) -> bool:
        """Returns true if the text can be encoded without bytes and unknown pieces."""
        (ids,) = self.encode([text])
        return UNK not in ids and not self.is_byte[ids].any()

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Returns the pieces in sentencepiece's notation: "▁" for a space, "<0xE2>" for a byte."""
        return [self._processor.id_to_piece(int(i)) for i in ids]

    @cached_property
    def inner_pieces(self) -> frozenset[int]:
        """Pieces that begin with a letter or a digit that continues a word, and those of a byte."""
        return frozenset(
            i for i, piece in enumerate(self._pieces) if i > UNK and (self.is_byte[i] or piece[:1].isalnum())
        )

    def sample(self, ids: Sequence[Sequence[int]], strength: float, seed: int) -> list[list[int]]:
        """Returns other segmentations of the lines with a bpe model: a pure function, see `BpeDropout`.

        A line with an unknown piece is unchanged.
        """
        random = Random(seed)
        return [list(line) if UNK in line else self._sample(line, strength, random) for line in ids]

    def _sample(self, line: Sequence[int], strength: float, random: Random) -> list[int]:
        drawn = self._segmenter.draw([self._pieces[i] for i in line], strength, random)
        return [self._ids[piece] for piece in drawn]

    @cached_property
    def _pieces(self) -> list[str]:
        return self.pieces(range(self.size))

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {piece: i for i, piece in enumerate(self._pieces)}

    @cached_property
    def _segmenter(self) -> BpeDropout:
        learned = (i for i in range(UNK + 1, self.size) if not self.is_byte[i])
        return BpeDropout({self._pieces[i]: self._processor.get_score(i) for i in learned})


class Tokenizer:
    """The vocabularies of both sides; a single one if `joint`."""

    def __init__(self, models: dict[str, bytes], manifest: TokenizerManifest) -> None:
        self._models = models
        self.manifest = manifest
        self.joint = "joint.model" in models
        self.source = Vocabulary(models["joint.model" if self.joint else "source.model"])
        self.target = self.source if self.joint else Vocabulary(models["target.model"])
        self.fingerprint = content_key(manifest.models)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Loads the tokenizer of a folder. Raises DataError if a file is missing or damaged."""
        manifest = TokenizerManifest.read(folder)
        for name, digest in manifest.models.items():
            read_bytes(folder / name)
            if sha256(folder / name) != digest:
                raise DataError(f"{folder / name}: damaged; delete {folder} and run `kotrans tokenize` again")
        return cls({name: read_bytes(folder / name) for name in manifest.models}, manifest)

    def is_unfamiliar(self, line: str) -> bool:
        """Returns true if a source line is unlike the training text; false for older tokenizers, which cannot tell."""
        familiarity = self.manifest.familiarity
        return familiarity is not None and familiarity.is_unlike(line, self.source.encode([line])[0])

    def save(self, folder: Path) -> None:
        """Writes the models and the manifest into a folder, for `load`."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, model in self._models.items():
            (folder / name).write_bytes(model)
        write_json(folder / "manifest.json", self.manifest.model_dump(mode="json"))
