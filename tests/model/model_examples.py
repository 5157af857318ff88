"""Tiny models of every kind with large random weights, sentences for them, and their weights as NumPy arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy_reference import Affine, Array, CellWeights, ModelWeights, Norm, ScoreWeights
from torch import Tensor, nn

from kotrans.config.schema import Config
from kotrans.model.build import build_model
from kotrans.model.seq2seq import Seq2Seq

SOURCE_SIZE, TARGET_SIZE = 11, 9
PAD, BOS = 0, 1
CELLS = ("lstm", "gru", "rnn")
ENCODERS = tuple(product(CELLS, (False, True)))
ALL_DROPOUT = dict.fromkeys(("embedding", "layers", "recurrent", "output", "source_word", "target_word"), 0.5)
NO_DROPOUT = dict.fromkeys(ALL_DROPOUT, 0.0)

SCORES: dict[str, dict[str, object]] = {
    "additive": {"score": "additive", "size": 4},
    "additive and lexical": {"score": "additive", "size": 4},
    "cosine": {"score": "cosine"},
    "cosine with beta 1": {"score": "cosine", "beta": "fixed"},
    "cosine of equal widths": {"score": "cosine"},
    "location": {"score": "location", "max_source_length": 7},
    "general": {"score": "general"},
    "scaled general": {"score": "general", "scale": True},
    "dot": {"score": "dot"},
    "scaled dot": {"score": "dot", "scale": True},
    "none": {"score": "none"},
}
EQUAL_WIDTHS = ("cosine of equal widths", "dot", "scaled dot")
LEXICAL = ("additive and lexical",)


def tiny_config(score: str = "additive", **sections: Mapping[str, object]) -> Config:
    """Returns a config with all widths different, a score of SCORES, no dropout, and other settings by section."""
    encoder = {"hidden_size": 3, **sections.get("encoder", {})}
    memory_size = 3 if encoder.get("bidirectional") is False else 6
    values: dict[str, Mapping[str, object]] = {
        **sections,
        "encoder": encoder,
        "attention": SCORES[score],
        "decoder": {
            "hidden_size": memory_size if score in EQUAL_WIDTHS else 5,
            "lexical": score in LEXICAL,
            **sections.get("decoder", {}),
        },
        "embeddings": {"size": 4, **sections.get("embeddings", {})},
        "dropout": {**NO_DROPOUT, **sections.get("dropout", {})},
    }
    return Config.model_validate({"name": "tiny", "corpora": [{"name": "starter"}], **values})


def tiny_model(config: Config) -> Seq2Seq:
    """Returns the model of a config in float64 and evaluation mode, with random weights and biases."""
    model = build_model(config, SOURCE_SIZE, TARGET_SIZE).double().eval()
    randomize(model)
    return model


def randomize(module: nn.Module, seed: int = 0) -> None:
    """Draws every parameter from a normal distribution."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.double) * 0.7)


@dataclass(frozen=True)
class Sentences:
    """source (B, S), mask (B, S), inputs (B, T) and labels (B, T), padded with PAD at the end."""

    source: Tensor
    mask: Tensor
    inputs: Tensor
    labels: Tensor

    def row(self, index: int) -> "Sentences":
        """Returns one sentence without padding."""
        source = self.mask[index].sum()
        target = (self.labels[index] != PAD).sum()
        rows = slice(index, index + 1)
        return Sentences(
            self.source[rows, :source], self.mask[rows, :source], self.inputs[rows, :target], self.labels[rows, :target]
        )


def sentences(
    source_lengths: tuple[int, ...] = (5, 2, 4, 1), target_lengths: tuple[int, ...] = (3, 4, 2, 4), seed: int = 0
) -> Sentences:
    """Returns a batch of random sentences of these lengths."""
    generator = torch.Generator().manual_seed(seed)
    source_lengths_column, target_lengths_column = (
        torch.tensor(lengths).unsqueeze(1) for lengths in (source_lengths, target_lengths)
    )
    size = len(source_lengths)
    mask = torch.arange(max(source_lengths)).expand(size, -1) < source_lengths_column
    source = torch.randint(2, SOURCE_SIZE, mask.shape, generator=generator).masked_fill(~mask, PAD)
    real = torch.arange(max(target_lengths)).expand(size, -1) < target_lengths_column
    labels = torch.randint(2, TARGET_SIZE, real.shape, generator=generator).masked_fill(~real, PAD)
    inputs = torch.cat([torch.full((size, 1), BOS), labels[:, :-1]], dim=1).masked_fill(~real, PAD)
    return Sentences(source, mask, inputs, labels)


def read_weights(config: Config, model: nn.Module) -> ModelWeights:
    """Returns the weights of a model for the reference."""
    arrays = {name: value.detach().numpy().astype(np.float64) for name, value in model.state_dict().items()}
    directions = 2 if config.encoder.bidirectional else 1
    return ModelWeights(
        source_embedding=arrays["source_embedding.weight"],
        target_embedding=arrays["target_embedding.weight"],
        encoder=[
            [
                read_cell(arrays, f"encoder.layers.{layer}.{direction}.", config.encoder.cell)
                for direction in range(directions)
            ]
            for layer in range(config.encoder.layers)
        ],
        score=read_score(config, arrays),
        decoder=[
            read_cell(arrays, "decoder." if layer == 0 else f"decoder.upper.{layer - 1}.", config.decoder.cell)
            for layer in range(config.decoder.layers)
        ],
        bridges=[read_affine(arrays, f"decoder.bridges.{layer}.") for layer in range(config.decoder.layers)],
        deep_output=read_affine(arrays, "decoder.deep_output."),
        softmax=read_affine(arrays, "softmax.deep." if config.decoder.lexical else "softmax."),
        lexical=arrays.get("decoder.lexical.hidden.weight"),
        lexical_softmax=arrays.get("softmax.lexical.weight"),
    )


def read_affine(arrays: dict[str, Array], prefix: str) -> Affine:
    return Affine(arrays[prefix + "weight"], arrays[prefix + "bias"])


def read_score(config: Config, arrays: dict[str, Array]) -> ScoreWeights:
    prefix, kind = "decoder.attention.", config.attention.score
    names = {
        "additive": {"W_s": "query.weight", "W_h": "key.weight", "v": "energy.weight"},
        "cosine": {"projection": "key.weight"},
        "general": {"W_a": "key.weight"},
        "location": {"W_a": "position.weight"},
        "dot": {},
        "none": {},
    }[kind]
    matrices = {symbol: arrays[prefix + name] for symbol, name in names.items() if prefix + name in arrays}
    if kind == "additive":
        matrices["v"] = matrices["v"][0]
    if kind == "cosine":
        learned = config.attention.beta == "learned"
        matrices["beta"] = np.exp(arrays[prefix + "log_beta"]) if learned else np.ones(())
    return ScoreWeights(kind, matrices, config.attention.scale)


def read_cell(arrays: dict[str, Array], prefix: str, kind: str) -> CellWeights:
    """Reads a `Cell`, or a kernel of the library, which has two biases: one with W x and one with U h."""
    if prefix + "kernel.weight_ih_l0" in arrays:
        weight_input, weight_hidden, bias, bias_hidden = (
            arrays[f"{prefix}kernel.{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        if kind != "gru":
            return CellWeights(kind, weight_input, weight_hidden, bias + bias_hidden)
        size = weight_hidden.shape[1]
        outside = np.concatenate([bias_hidden[: 2 * size], np.zeros(size)])
        return CellWeights(kind, weight_input, weight_hidden, bias + outside, bias_hidden[2 * size :])
    prefix += "cell."
    return CellWeights(
        kind,
        arrays[prefix + "weight_input"],
        arrays[prefix + "weight_hidden"],
        arrays[prefix + "bias"],
        arrays.get(prefix + "bias_new"),
        *(read_norm(arrays, f"{prefix}{name}_norm.") for name in ("input", "hidden", "long_term")),
    )


def read_norm(arrays: dict[str, Array], prefix: str) -> Norm | None:
    gain = arrays.get(prefix + "weight")
    return None if gain is None else Norm(gain, arrays.get(prefix + "bias"))
