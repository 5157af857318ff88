"""Exports the encoder and one decoder step as ONNX graphs, and checks that onnxruntime translates as the model does.

| graph | inputs | outputs |
| --- | --- | --- |
| encoder.onnx | source (B, S), mask (B, S) | the initial state, one tensor per part |
| decoder_step.onnx | previous (B,), mask, every part | log_probs (B, V), the parts that change, weights (B, S) |

A part of the state has the same name in both graphs; the output that replaces it has the prefix `next_`. The axes
`batch` and `source` are dynamic.

Shape key: B sentences, S source positions, T positions, V target pieces, I input width, H state width, G gates.
"""

import warnings
from collections.abc import Iterator, Sequence
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from kotrans.data.batching import pad
from kotrans.data.tokenizer import BOS, EOS, PAD
from kotrans.errors import CheckpointError, UsageError
from kotrans.model.cells import CELLS, Cell, CellState, GRUCell
from kotrans.model.decoder import DecoderState, EncodedSource
from kotrans.model.encoder import LibraryRecurrence, LoopedRecurrence, Recurrence
from kotrans.model.incremental.incremental_decoder import IncrementalDecoder
from kotrans.model.seq2seq import Seq2Seq
from kotrans.runs.checkpoint import Checkpoint
from kotrans.search.beam import search
from kotrans.search.hypotheses import length_limits
from kotrans.search.topk import forbid_special

ENCODER, STEP = "encoder.onnx", "decoder_step.onnx"
_OPSET = 17  # the first with layer normalisation
_SENTENCES = (
    "안녕하세요?",
    "저는 내일 친구하고 시장에 갈 거예요.",
    "비가 오면 우리는 집에서 영화를 볼 거예요.",
    "그 책은 2024년 3월에 처음 나왔고 지금도 많은 사람이 읽고 있다고 합니다.",
)


def for_any_length(model: Seq2Seq) -> Seq2Seq:
    """Returns a copy of a model that can be traced for any length; Python loops would be unrolled for one length."""
    copied = deepcopy(model).eval()
    for name, module in list(copied.named_modules()):
        if isinstance(module, LoopedRecurrence):
            normed = isinstance(module.cell.input_norm, nn.LayerNorm)
            copied.set_submodule(name, ScriptedRecurrence(module.cell) if normed else _on_kernel(module.cell))
    return copied


def _on_kernel(cell: Cell) -> LibraryRecurrence:
    """Returns PyTorch's kernel with the weights of a cell without layer normalisation; dropout is for training only."""
    (kind,) = (name for name, made in CELLS.items() if type(cell) is made)
    layer = LibraryRecurrence(kind, cell.weight_input.size(1), cell.hidden_size)
    hidden_bias = torch.zeros_like(cell.bias)  # (G*H,)
    if isinstance(cell, GRUCell):
        hidden_bias[-cell.hidden_size :] = cell.bias_new
    weights = [cell.weight_input, cell.weight_hidden, cell.bias, hidden_bias]
    with torch.no_grad():
        for parameter, weight in zip(layer.kernel.parameters(), weights, strict=True):
            parameter.copy_(weight)
    return layer.eval()


class ScriptedRecurrence(Recurrence):
    """Runs a cell over a sequence in a TorchScript loop, which becomes an ONNX loop."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell
        width = cell.hidden_size
        example = torch.zeros(1, cell.gates * width), torch.zeros(1, width), torch.zeros(1, width)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # as for the exporter, see `_export`
            self.loop = torch.jit.script(_Loop(torch.jit.trace(_LoopStep(cell), example)))

    def forward(self, inputs: Tensor, state: CellState | None = None) -> tuple[Tensor, CellState]:
        """Returns states (B, T, H) of inputs (B, T, I), and the last state."""
        state = state or self.cell.initial(inputs.new_zeros(inputs.size(0), self.cell.hidden_size))
        long_term = torch.zeros_like(state.hidden) if state.long_term is None else state.long_term
        states, hidden, long_term = self.loop(self.cell.project(inputs), state.hidden, long_term)
        return states, CellState(hidden, None if state.long_term is None else long_term)


class _LoopStep(nn.Module):
    """A step of a cell with tensors as arguments; a cell without a long-term state passes it through."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, projected: Tensor, hidden: Tensor, long_term: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the next hidden and long-term state (B, H) from projected inputs (B, G*H)."""
        state = self.cell(projected, CellState(hidden, long_term))
        return state.hidden, long_term if state.long_term is None else state.long_term


class _Loop(nn.Module):
    """A loop over steps that TorchScript can compile."""

    def __init__(self, step: nn.Module) -> None:
        super().__init__()
        self.step = step

    def forward(self, projected: Tensor, hidden: Tensor, long_term: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns states (B, T, H) and the last state from projected inputs (B, T, G*H)."""
        states = []
        for position in range(projected.size(1)):
            hidden, long_term = self.step(projected[:, position], hidden, long_term)
            states.append(hidden)
        return torch.stack(states, dim=1), hidden, long_term


def write_graphs(folder: Path, checkpoint: Checkpoint) -> None:
    """Writes both graphs and checks them by translating a few sentences.

    Raises UsageError if onnx or onnxruntime is missing, CheckpointError if their translations differ from the model's.
    """
    runtime = _runtime()
    source = _source(checkpoint, _SENTENCES)  # (B, S)
    with torch.no_grad():
        _write(folder, for_any_length(checkpoint.model), source, source != PAD)
    _check(runtime, folder, checkpoint, source)


def _runtime() -> Any:
    """Imports onnxruntime, and onnx, which PyTorch's exporter calls."""
    try:
        import_module("onnx")
        return import_module("onnxruntime")
    except ImportError:
        raise UsageError("--onnx: needs onnx and onnxruntime; install them: pip install 'kotrans[onnx]'") from None


def _source(checkpoint: Checkpoint, lines: Sequence[str]) -> Tensor:
    """Returns ids (B, S) of the lines, cut to the longest source of the model."""
    config = checkpoint.config
    longest = min(config.batches.max_pieces, (config.attention.max_source_length or config.batches.max_pieces + 1) - 1)
    return pad([[*ids[:longest], EOS] for ids in checkpoint.tokenizer.source.encode(lines)])


class State(NamedTuple):
    """Decoder state between steps, with one hypothesis per sentence."""

    source: EncodedSource
    decoder: DecoderState


def step(model: Seq2Seq, state: State, previous: Tensor) -> tuple[Tensor, State, Tensor | None]:
    """Returns log-probabilities (B, V) after the pieces `previous` (B,), the next state, and weights (B, S) or None."""
    embedded = model.target_embedding(previous)  # (B, E)
    contexts, weights = model.decoder.attend(state.source, state.decoder.layers[0].hidden.unsqueeze(1))  # (B, 1, H)
    output, after = model.decoder.step(state.decoder, embedded, contexts.squeeze(1))  # (B, O)
    log_probs = model.softmax(output).log_softmax(-1)  # (B, V)
    return log_probs, state._replace(decoder=after), None if weights is None else weights.squeeze(1)


class _Start(nn.Module):
    """Returns the parts of the initial state, except the mask."""

    def __init__(self, model: Seq2Seq) -> None:
        super().__init__()
        self.model = model

    def forward(self, source: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        """source, mask (B, S)."""
        return tuple(part for _, part in parts_of(State(*self.model.start(source, mask))) if part is not mask)


class _Step(nn.Module):
    """Returns log-probabilities, changed parts of the state, and attention weights if the model has them."""

    def __init__(self, model: Seq2Seq, like: State) -> None:
        super().__init__()
        self.model = model
        self.like = like

    def forward(self, previous: Tensor, *parts: Tensor) -> tuple[Tensor, ...]:
        """previous (B,); parts: all parts of the state."""
        before = with_parts(self.like, iter(parts))
        log_probs, after, weights = step(self.model, before, previous)
        changed = (new for (_, old), (_, new) in zip(parts_of(before), parts_of(after), strict=True) if new is not old)
        return (log_probs, *changed, *([] if weights is None else [weights]))


def parts_of(state: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yields the tensors of a nested tuple with the names of their fields, such as `decoder_layers_0_hidden`."""
    if isinstance(state, Tensor):
        yield name, state
    elif state is not None:
        for field, part in zip(getattr(state, "_fields", range(len(state))), state, strict=True):
            yield from parts_of(part, f"{name}_{field}".lstrip("_"))


def with_parts(state: Any, parts: Iterator[Tensor]) -> Any:
    """Returns the nested tuple with other tensors, in the order of `parts_of`."""
    if state is None or isinstance(state, Tensor):
        return None if state is None else next(parts)
    inner = [with_parts(part, parts) for part in state]
    return type(state)(*inner) if hasattr(state, "_fields") else tuple(inner)


def _write(folder: Path, model: Seq2Seq, source: Tensor, mask: Tensor) -> None:
    state = State(*model.start(source, mask))
    parts = dict(parts_of(state))
    given = next(name for name, part in parts.items() if part is mask)
    _export(
        _Start(model), folder / ENCODER, {"source": source, "mask": mask}, [name for name in parts if name != given]
    )
    previous = torch.full((len(source),), BOS)  # (B,)
    _, after, weights = step(model, state, previous)
    changed = [f"next_{name}" for name, part in parts_of(after) if part is not parts[name]]
    inputs = {"previous": previous} | {"mask" if name == given else name: part for name, part in parts.items()}
    outputs = ["log_probs", *changed, *([] if weights is None else ["weights"])]
    _export(_Step(model, state), folder / STEP, inputs, outputs)


def _export(module: nn.Module, path: Path, inputs: dict[str, Tensor], outputs: list[str]) -> None:
    """Exports by tracing: the newer exporter needs another package and fixes the length of an LSTM."""
    length = inputs["mask"].size(1)
    axes = {
        name: {0: "batch"} | ({1: "source"} if tensor.dim() > 1 and tensor.size(1) == length else {})
        for name, tensor in inputs.items()
    }
    axes |= {name: {0: "batch"} for name in outputs}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecation, and lengths fixed by tracing, which the check would find
        given = tuple(inputs.values())
        traced = torch.jit.trace(
            module.eval(), given, check_trace=False
        )  # the exporter does not trace scripted modules
        torch.onnx.export(
            traced, given, str(path), dynamo=False, opset_version=_OPSET,
            input_names=list(inputs), output_names=outputs, dynamic_axes=axes,
        )  # fmt: skip


def _check(runtime: Any, folder: Path, checkpoint: Checkpoint, source: Tensor) -> None:
    """Translates all sentences together, and the shortest alone: a batch size and length that were not traced."""
    config = checkpoint.config.search.model_copy(update={"beam": 1, "max_repetitions": None})
    shortest = int((source != PAD).sum(1).argmin())
    alone = source[shortest : shortest + 1, : int((source[shortest] != PAD).sum())]
    for batch in (source, alone):
        mask = batch != PAD
        limits = length_limits(mask, config)
        ours = [found[0].ids for found in search(IncrementalDecoder(checkpoint.model), batch, mask, config)]
        if (theirs := _greedy(runtime, folder, batch, mask, limits)) != ours:
            row = next(i for i, (one, other) in enumerate(zip(ours, theirs, strict=True)) if one != other)
            decode = checkpoint.tokenizer.target.decode
            raise CheckpointError(
                f"{STEP}: onnxruntime translates {checkpoint.tokenizer.source.decode(batch[row].tolist())!r} as "
                f"{decode(theirs[row])!r}, kotrans as {decode(ours[row])!r}; export without --onnx"
            )


def _greedy(runtime: Any, folder: Path, source: Tensor, mask: Tensor, limits: list[int]) -> list[tuple[int, ...]]:
    """Returns greedy translations of source (B, S) by the graphs, without EOS."""
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    encoder, stepper = (runtime.InferenceSession(str(folder / name), options) for name in (ENCODER, STEP))
    fixed = {"mask": mask.numpy()}
    names = [output.name for output in encoder.get_outputs()]
    state = fixed | dict(zip(names, encoder.run(None, {"source": source.numpy()} | fixed), strict=True))
    wanted = {entry.name for entry in stepper.get_inputs()}
    results = [output.name for output in stepper.get_outputs()]
    previous, found = torch.full((len(source),), BOS), []
    for _ in range(max(limits)):
        inputs = {name: value for name, value in state.items() if name in wanted} | {"previous": previous.numpy()}
        outputs = dict(zip(results, stepper.run(None, inputs), strict=True))
        log_probs = torch.from_numpy(outputs["log_probs"])  # (B, V)
        forbid_special(log_probs)
        previous = log_probs.argmax(1)  # (B,)
        found.append(previous)
        state |= {name.removeprefix("next_"): outputs[name] for name in results if name.startswith("next_")}
    return [_until_end(row[:limit]) for row, limit in zip(torch.stack(found, 1).tolist(), limits, strict=True)]


def _until_end(ids: list[int]) -> tuple[int, ...]:
    return tuple(ids[: ids.index(EOS)] if EOS in ids else ids)
