"""From config to network, with its first weights."""

from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from kotrans.config.schema import Config
from kotrans.config.sections import AttentionConfig
from kotrans.model.attention import (
    AdditiveAttention,
    Attention,
    CosineAttention,
    DotAttention,
    GeneralAttention,
    LocationAttention,
)
from kotrans.model.cells import Cell, LSTMCell
from kotrans.model.decoder import Decoder
from kotrans.model.encoder import Encoder
from kotrans.model.lexical import Lexical
from kotrans.model.seq2seq import Seq2Seq


def build_model(config: Config, source_size: int, target_size: int) -> Seq2Seq:
    """The network of a config for vocabularies of these sizes, with weights drawn from config.seed."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)  # torch.manual_seed would seed the GPUs as well
        model = _assemble(config, source_size, target_size)
        initialize(model)
    return model


def build_unfilled(config: Config, source_size: int, target_size: int) -> Seq2Seq:
    """The same network with whatever is in memory for weights, for a caller that has others to put there."""
    with _Unfilled():
        return _assemble(config, source_size, target_size)


class _Unfilled(TorchFunctionMode):
    """Lets the library's modules be made without drawing the weights that they start from."""

    def __torch_function__(
        self, function: Any, types: Any, arguments: tuple[Any, ...] = (), options: dict[str, Any] | None = None
    ) -> Any:
        if getattr(function, "__module__", None) == "torch.nn.init" or function in _DRAWS:
            return arguments[0] if arguments else (options or {})["tensor"]
        return function(*arguments, **(options or {}))


_DRAWS = (torch.Tensor.normal_, torch.Tensor.uniform_)


def _assemble(config: Config, source_size: int, target_size: int) -> Seq2Seq:
    size, dropout = config.embeddings.size, config.dropout
    target_embedding = nn.Embedding(target_size, size)
    source_embedding = target_embedding if config.embeddings.tie == "all" else nn.Embedding(source_size, size)
    encoder = Encoder(
        config.encoder.cell, size, config.encoder.hidden_size, config.encoder.layers,
        bidirectional=config.encoder.bidirectional, layer_norm=config.encoder.layer_norm,
        dropout=dropout.layers, recurrent_dropout=dropout.recurrent,
    )  # fmt: skip
    decoder = Decoder(
        config.decoder.cell, _attention(config.attention, config.memory_size, config.decoder.hidden_size),
        Lexical(size, dropout=dropout.output) if config.decoder.lexical else None,
        embedding_size=size, memory_size=config.memory_size, first_size=config.encoder.hidden_size,
        hidden_size=config.decoder.hidden_size, layers=config.decoder.layers, output_size=size,
        layer_norm=config.decoder.layer_norm, dropout=dropout.layers, recurrent_dropout=dropout.recurrent,
        output_dropout=dropout.output,
    )  # fmt: skip
    return Seq2Seq(
        source_embedding, target_embedding, encoder, decoder,
        tie_softmax=config.embeddings.tie != "none", embedding_dropout=dropout.embedding,
        source_word_dropout=dropout.source_word, target_word_dropout=dropout.target_word,
    )  # fmt: skip


def _attention(config: AttentionConfig, memory_size: int, query_size: int) -> Attention | None:
    match config.score:
        case "none":
            return None
        case "additive":
            return AdditiveAttention(memory_size, query_size, config.size)
        case "cosine":
            return CosineAttention(memory_size, query_size, learned_beta=config.beta == "learned")
        case "general":
            return GeneralAttention(memory_size, query_size, scale=config.scale)
        case "dot":
            return DotAttention(query_size, scale=config.scale)
        case "location":
            assert config.max_source_length is not None  # the config refuses it otherwise
            return LocationAttention(query_size, config.max_source_length)


def initialize(model: nn.Module) -> None:
    """The first weights.

    | what | drawn from |
    | --- | --- |
    | embeddings (and a tied softmax) | normal, standard deviation width ** -0.5 |
    | matrices | Glorot uniform (Glorot and Bengio 2010) |
    | recurrent matrices | orthogonal, gate by gate (Saxe et al. 2014) |
    | biases | 0, an LSTM's forget gate 1 (Jozefowicz et al. 2015) |
    """
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.RNNBase):
            weights = dict(module.named_parameters())
            _initialize_recurrent(weights["weight_ih_l0"], weights["weight_hh_l0"])
            _initialize_bias(weights["bias_ih_l0"], lstm=isinstance(module, nn.LSTM))
            nn.init.zeros_(weights["bias_hh_l0"])
        elif isinstance(module, Cell):
            _initialize_recurrent(module.weight_input, module.weight_hidden)
            _initialize_bias(module.bias, lstm=isinstance(module, LSTMCell))
    # Last, because a softmax that shares an embedding's matrix was drawn as a matrix above.
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)


def _initialize_recurrent(weight_input: nn.Parameter, weight_hidden: nn.Parameter) -> None:
    size = weight_hidden.size(1)
    for gate_input, gate_hidden in zip(weight_input.split(size), weight_hidden.split(size), strict=True):
        nn.init.xavier_uniform_(gate_input)
        nn.init.orthogonal_(gate_hidden)


def _initialize_bias(bias: nn.Parameter, *, lstm: bool) -> None:
    nn.init.zeros_(bias)
    if lstm:
        nn.init.ones_(bias.chunk(4)[1])  # i, f, g, o: remember by default
