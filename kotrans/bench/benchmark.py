"""Benchmarks a config on this machine, with its prepared dataset or with synthetic pairs."""

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import product
from typing import Any, NamedTuple

import torch

from kotrans.bench.figures import Benchmark, Data, Profile, SearchFigures, SpeedComparison
from kotrans.bench.machine import describe_machine, matrix_peak, peak_memory
from kotrans.bench.random_pairs import Sentence, SyntheticPairs
from kotrans.bench.training_speed import TrainingBench, measure_profile
from kotrans.bench.translation_speed import Setup, measure_search
from kotrans.config.schema import Config, HardwareConfig
from kotrans.data.dataset import Dataset, Position
from kotrans.data.prefetch import Item, Prefetched
from kotrans.data.stages import PreparedData, Reporter, find_prepared
from kotrans.engine.graph_products import largest_exact_weight
from kotrans.engine.model_weights import ModelWeights
from kotrans.engine.onnx_engine import OnnxEngine
from kotrans.engine.stepper import Stepper
from kotrans.engine.torch_engine import TorchEngine
from kotrans.model.build import build_model
from kotrans.model.seq2seq import Seq2Seq
from kotrans.parallel.device import pick_device, pick_precision, pick_training_precision, set_threads
from kotrans.runs.run import now
from kotrans.storage.resources import VERSION
from kotrans.training.train import training_batches

_BEAMS = (1, 5)
_SENTENCES = 1024
# Shares of the time. Training's share is divided among training, the comparison and the profile.
_TRAINING, _PEAK = 0.5, 0.1
_SEARCH = 1 - _TRAINING - _PEAK


class _Input(NamedTuple):
    """Training batches, and sentences to translate."""

    data: Data
    stream: Iterator[Item]
    sentences: list[Sentence]


def bench(
    config: Config, reporter: Reporter, *, seconds: float, synthetic: bool = False, against_plain: bool = False,
    profile: bool = False,
) -> Benchmark:  # fmt: skip
    """Measures for about the given time; large models take longer, because each measurement is repeated three times.

    Raises ConfigError if the device is not available, TrainingError if memory runs out.
    """
    device, threads = pick_device(config.hardware), set_threads(config.hardware)
    precision = pick_training_precision(config.hardware, device)
    machine = describe_machine(device)
    pairs = _input(config, synthetic=synthetic)
    model = build_model(config, pairs.data.source_vocabulary, pairs.data.target_vocabulary).to(device)
    training_time = seconds * _TRAINING / (1 + against_plain + profile)
    comparison: SpeedComparison | None = None
    profiled: Profile | None = None
    with closing(Prefetched(pairs.stream, device)) as stream:
        training = TrainingBench(model, stream, config, device=device, precision=precision, threads=threads)
        measured = training.measure(training_time, _progress(reporter, "training", training_time))
        memory = peak_memory(device)
        if against_plain:
            comparison = training.against_plain(training_time, _progress(reporter, "plain path", training_time))
        if profile:
            profiled = _profile(training, threads, training_time, reporter)
    peak_time = seconds * _PEAK
    peak = matrix_peak(device, precision, peak_time, _progress(reporter, "matrix product", peak_time))
    return Benchmark(
        kotrans=VERSION, date=now(), config=config.name, machine=machine, device=str(device), precision=precision,
        parameters=sum(parameter.numel() for parameter in model.parameters()), data=pairs.data,
        training=measured.figures(peak), memory=memory, peak=peak,
        search=_searches(model, pairs.sentences, config, device, seconds * _SEARCH, reporter),
        against_plain=comparison, profile=profiled,
    )  # fmt: skip


def _profile(bench: TrainingBench, threads: int, seconds: float, reporter: Reporter) -> Profile:
    """Profiles one thread on its shard of each batch."""
    shards = ((position, next(batch.deal(bench.shards))) for position, batch in bench.stream)
    torch.set_num_threads(1)
    try:
        single = TrainingBench(
            bench.model, shards, bench.config, device=bench.device, precision=bench.precision, threads=1
        )
        peak = matrix_peak(bench.device, bench.precision, seconds / 4, lambda _: None)
        return measure_profile(single, peak, seconds * 3 / 4, _progress(reporter, "profile", seconds * 3 / 4))
    finally:
        torch.set_num_threads(threads)


def _searches(
    model: Seq2Seq, sentences: list[Sentence], config: Config, device: torch.device, seconds: float, reporter: Reporter
) -> tuple[SearchFigures, ...]:
    engines = _engines(model, config, device)
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    setups = [
        Setup(name, precision, beam, batch)
        for beam, batch, (name, precision) in product(_BEAMS, (config.search.batch, 1), engines)
    ]
    each = seconds / len(setups)
    return tuple(
        measure_search(
            engines[setup.engine, setup.precision], sentences, config.search, setup, threads=threads, seconds=each,
            report=_progress(reporter, f"beam {setup.beam}, {setup.batch} at a time, {setup.precision}", each),
        )
        for setup in setups
    )  # fmt: skip


def _engines(model: Seq2Seq, config: Config, device: torch.device) -> dict[tuple[str, str], Stepper[Any]]:
    """Returns the engines of the model by name and precision: those that translation chooses among on the device."""
    engines: dict[tuple[str, str], Stepper[Any]] = {}
    if device.type == "cpu":
        vocabularies = model.source_embedding.num_embeddings, model.target_embedding.num_embeddings
        weights = {name: weight.detach().numpy() for name, weight in model.named_parameters()}
        for precision, largest in {"fp32": None, "int8": largest_exact_weight()}.items():
            if precision == "fp32" or largest is not None:
                members = [ModelWeights(weights, config, config.name)]
                engines["onnxruntime", precision] = OnnxEngine(members, *vocabularies, largest=largest)
    else:
        engines["torch", "fp32"] = TorchEngine([model])
    if pick_precision(HardwareConfig(), device) == "bf16":
        engines["torch", "bf16"] = TorchEngine([model], torch.bfloat16)
    return engines


def _progress(reporter: Reporter, what: str, seconds: float) -> Callable[[float], None]:
    return lambda spent: reporter.progress(what, int(10 * spent), int(10 * seconds))


def _input(config: Config, *, synthetic: bool) -> _Input:
    prepared = None if synthetic else find_prepared(config)
    if prepared is None:
        pairs = SyntheticPairs(config)
        return _Input(pairs.describe(), pairs.stream(), pairs.sentences(_SENTENCES))
    manifest = prepared.manifest
    data = Data(
        "prepared", prepared.dataset.name, manifest.splits["train"].pairs, manifest.source_vocabulary,
        manifest.target_vocabulary,
    )  # fmt: skip
    return _Input(data, training_batches(config, prepared).start_at(Position()), _dev_sentences(prepared))


def _dev_sentences(prepared: PreparedData) -> list[Sentence]:
    """Returns sentences of the dev split, or of the train split if dev is empty."""
    has_dev = "dev" in prepared.manifest.splits and prepared.manifest.splits["dev"].pairs
    dataset = Dataset.open(prepared.dataset, "dev" if has_dev else "train")
    return [Sentence(dataset.source(i), len(dataset.target(i))) for i in range(min(len(dataset), _SENTENCES))]
