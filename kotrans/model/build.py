"""Builds the network of a config, with initial weights or with given ones."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

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
from kotrans.model.lexical import LexicalModel
from kotrans.model.seq2seq import Seq2Seq


def build_model(config: Config, source_size: int, target_size: int) -> Seq2Seq:
    """Returns the network of a config for vocabularies of these sizes, with weights drawn from config.seed."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)  # torch.manual_seed would seed the GPUs as well
        model = _assemble(config, source_size, target_size)
        initialize(model)
    return model


def build_without_weights(config: Config, source_size: int, target_size: int) -> Seq2Seq:
    """Returns the same network on the meta device: no memory is allocated until `assign_weights`."""
    with torch.device("meta"):
        return _assemble(config, source_size, target_size)


def assign_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Makes the tensors of `weights`, named as in `named_parameters`, the parameters of the model without a copy."""
    first_names = {parameter: name for name, parameter in model.named_parameters()}
    parameters = {name: nn.Parameter(tensor) for name, tensor in weights.items()}
    # A tied matrix has several names in the model, and one in `weights`.
    names = model.named_parameters(remove_duplicate=False)
    model.load_state_dict({name: parameters[first_names[parameter]] for name, parameter in names}, assign=True)


def _assemble(config: Config, source_size: int, target_size: int) -> Seq2Seq:
    size, dropout = config.embeddings.size, config.dropout
    target_embedding = _embedding(target_size, size)
    source_embedding = target_embedding if config.embeddings.tie == "all" else _embedding(source_size, size)
    encoder = Encoder(
        config.encoder.cell, size, config.encoder.hidden_size, config.encoder.layers,
        bidirectional=config.encoder.bidirectional, layer_norm=config.encoder.layer_norm,
        dropout=dropout.layers, recurrent_dropout=dropout.recurrent,
    )  # fmt: skip
    decoder = Decoder(
        config.decoder.cell, _attention(config.attention, config.memory_size, config.decoder.hidden_size),
        LexicalModel(size, dropout=dropout.output) if config.decoder.lexical else None,
        embedding_size=size, memory_size=config.memory_size, initial_size=config.encoder.hidden_size,
        hidden_size=config.decoder.hidden_size, layers=config.decoder.layers, output_size=size,
        layer_norm=config.decoder.layer_norm, dropout=dropout.layers, recurrent_dropout=dropout.recurrent,
        output_dropout=dropout.output,
    )  # fmt: skip
    return Seq2Seq(
        source_embedding, target_embedding, encoder, decoder,
        tie_softmax=config.embeddings.tie != "none", embedding_dropout=dropout.embedding,
        source_word_dropout=dropout.source_word, target_word_dropout=dropout.target_word,
    )  # fmt: skip


def _embedding(pieces: int, size: int) -> nn.Embedding:
    weight = torch.empty(pieces, size)
    if weight.is_meta:  # normal_ on the meta device imports the compiler of PyTorch, which takes seconds
        return nn.Embedding.from_pretrained(weight, freeze=False)
    return nn.Embedding(pieces, size)


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
            assert config.max_source_length is not None  # validated by the config
            return LocationAttention(query_size, config.max_source_length)


def initialize(model: nn.Module) -> None:
    """Draws the initial weights.

    | parameters | initial value |
    | --- | --- |
    | embeddings (and a tied softmax) | normal, standard deviation width ** -0.5 |
    | matrices | Glorot uniform (Glorot and Bengio 2010) |
    | recurrent matrices | orthogonal per gate (Saxe et al. 2014) |
    | biases | 0, forget gate of an LSTM 1 (Jozefowicz et al. 2015) |
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
    # Last: a tied softmax was drawn as a matrix above.
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
        nn.init.ones_(bias.chunk(4)[1])  # gates in the order i, f, g, o
