"""Exports the encoder and one decoder step as ONNX graphs, and checks that they translate as kotrans does.

| graph | inputs | outputs |
| --- | --- | --- |
| encoder.onnx | source (B, S), mask (B, S) | the first state, one tensor per part |
| decoder_step.onnx | previous (B,), mask, every part | log_probs (B, V), the parts that change, weights (B, S) |

A part of the state has the same name in both graphs; the output that replaces it has the prefix `next_`. The axes
`B` and `S` are dynamic. The search and the decoder state of hypotheses are the caller's; `kotrans.engine` uses graphs
of its own, with several hypotheses per sentence.

Shape key: B sentences, S source positions, V target pieces.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from kotrans.data.tokenizer import BOS, EOS, PAD, UNK
from kotrans.engine.decoder_graph import LONG_TERM, NEXT, DecoderGraph, Rows
from kotrans.engine.encoder_graph import add_encoder
from kotrans.engine.model_weights import ModelWeights
from kotrans.engine.onnx_engine import OnnxEngine
from kotrans.engine.onnx_writer import Graph
from kotrans.errors import CheckpointError
from kotrans.runs.model_files import ModelFiles
from kotrans.search.greedy import greedy_search
from kotrans.search.hypotheses import length_limits

ENCODER, STEP = "encoder.onnx", "decoder_step.onnx"
_SENTENCES = (
    "안녕하세요?",
    "저는 내일 친구하고 시장에 갈 거예요.",
    "비가 오면 우리는 집에서 영화를 볼 거예요.",
    "그 책은 2024년 3월에 처음 나왔고 지금도 많은 사람이 읽고 있다고 합니다.",
)
Ints = npt.NDArray[np.int64]


def write_graphs(folder: Path, files: ModelFiles) -> None:
    """Writes both graphs and checks them by translating a few sentences.

    Raises CheckpointError if their translations differ from those of kotrans.
    """
    weights = ModelWeights(files.weights, files.config, files.path)
    (folder / ENCODER).write_bytes(_encoder(weights, files.tokenizer.source.size).model(with_weights=True))
    (folder / STEP).write_bytes(_step(weights, files.tokenizer.target.size).model(with_weights=True))
    _check(folder, files)


def _encoder(weights: ModelWeights, source_pieces: int) -> Graph:
    graph = Graph("encoder")
    source, mask = graph.input("source", np.int64, ["B", "S"]), graph.input("mask", np.bool_, ["B", "S"])
    lengths = graph.op("ReduceSum", graph.op("Cast", mask, to=7), graph.integers(1), keepdims=0)  # (B,)
    flat = graph.op("Reshape", source, graph.integers(-1))  # (B*S,)
    places = graph.op("Reshape", graph.range_of(flat), graph.op("Shape", source))  # (B, S)
    states = add_encoder(graph, weights, source_pieces, flat, places, lengths, largest=None)
    if weights.config.decoder.cell == "lstm":
        for layer, state in enumerate(states):
            graph.output(graph.op("Sub", state, state), f"{LONG_TERM}{layer}")  # C_0 is 0
    return graph


def _step(weights: ModelWeights, target_pieces: int) -> Graph:
    graph = Graph("decoder_step")
    previous, mask = graph.input("previous", np.int64, ["B"]), graph.input("mask", np.bool_, ["B", "S"])
    rows = graph.range_of(previous)  # each sentence has one row
    zero, never = graph.array(np.float32(0)), graph.array(np.float32(-np.inf))
    padding = graph.op("Unsqueeze", graph.op("Where", mask, zero, never), graph.integers(1))  # (B, 1, S)
    grid = graph.op("Unsqueeze", rows, graph.integers(1))  # (B, 1)
    decoder = DecoderGraph(graph, weights, "", target_pieces, largest=None, with_table=False)
    output, alpha = decoder.step(Rows(previous, rows, grid, rows, rows, padding))
    graph.output(graph.op("LogSoftmax", decoder.logits(output), axis=1), "log_probs")
    if alpha is not None:
        graph.output(alpha, "weights")
    return graph


def _check(folder: Path, files: ModelFiles) -> None:
    """Translates all sentences together, and the shortest alone, by the graphs and by kotrans."""
    search = files.config.search.model_copy(update={"max_repetitions": None})
    vocabulary = files.tokenizer
    engine = OnnxEngine(
        [ModelWeights(files.weights, files.config, files.path)], vocabulary.source.size, vocabulary.target.size
    )
    attention, most = files.config.attention, files.config.batches.max_pieces
    longest = min(most, (attention.max_source_length or most + 1) - 1)
    sources = [[*ids[:longest], EOS] for ids in vocabulary.source.encode(_SENTENCES)]
    for batch in (sources, [min(sources, key=len)]):
        source = np.full((len(batch), max(map(len, batch))), PAD)
        for row, ids in zip(source, batch, strict=True):
            row[: len(ids)] = ids
        mask = source != PAD
        ours = [found.ids for found in greedy_search(engine, source, mask, search)]
        theirs = _greedy(folder, source, mask, length_limits(mask, search))
        for ids, one, other in zip(batch, ours, theirs, strict=True):
            if one != other:
                decode = vocabulary.target.decode
                raise CheckpointError(
                    f"{STEP}: onnxruntime translates {vocabulary.source.decode(ids[:-1])!r} as {decode(other)!r}, "
                    f"kotrans as {decode(one)!r}; export without --onnx"
                )


def _greedy(folder: Path, source: Ints, mask: npt.NDArray[np.bool_], limits: list[int]) -> list[tuple[int, ...]]:
    """Returns greedy translations of source (B, S) by the graphs, without EOS."""
    encoder, stepper = (onnxruntime.InferenceSession(folder / name) for name in (ENCODER, STEP))
    names = [output.name for output in encoder.get_outputs()]
    state = dict(zip(names, encoder.run(None, {"source": source, "mask": mask}), strict=True)) | {"mask": mask}
    wanted = [entry.name for entry in stepper.get_inputs()]
    results = [output.name for output in stepper.get_outputs()]
    state["previous"], found = np.full(len(source), BOS), []
    for _ in range(max(limits)):
        outputs = dict(zip(results, stepper.run(None, {name: state[name] for name in wanted}), strict=True))
        outputs["log_probs"][:, [PAD, BOS, UNK]] = -np.inf
        state["previous"] = outputs["log_probs"].argmax(1)  # (B,)
        found.append(state["previous"])
        state |= {name.removeprefix(NEXT): value for name, value in outputs.items() if name.startswith(NEXT)}
    rows = np.stack(found, 1).tolist()
    return [_until_end(row[:limit]) for row, limit in zip(rows, limits, strict=True)]


def _until_end(ids: list[int]) -> tuple[int, ...]:
    return tuple(ids[: ids.index(EOS)] if EOS in ids else ids)
