"""A corpus, a config and runs so small that training takes a fraction of a second."""

import json
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from kotrans.config.loading import check_config, dump_config
from kotrans.config.schema import Config
from kotrans.data.stages import SilentReporter, prepare
from kotrans.model.build import build_model
from kotrans.model.seq2seq import Seq2Seq
from kotrans.runs.run import Run, RunRecord
from kotrans.storage.files import write_lines
from kotrans.training.events import DevFigures, Event, Listener, Updated
from kotrans.training.limits import Outcome
from kotrans.training.loop import Trainer
from kotrans.training.train import train, training_batches

if sys.platform != "win32":
    import resource

_DIGITS = "영일이삼사오육칠팔구"
_SPLITS = {"train": 150, "dev": 10, "test": 10}


def write_numbers(folder: Path, splits: dict[str, int] | None = None, longest: int = 4) -> Path:
    """Writes line-aligned files of numbers below 100: as Korean words, and as digits in reverse order."""
    draw = random.Random(1)
    for split, pairs in (splits or _SPLITS).items():
        rows = [[draw.randrange(100) for _ in range(draw.randint(1, longest))] for _ in range(pairs)]
        write_lines(folder / f"{split}.ko", [" ".join(_written(number) for number in row) for row in rows])
        write_lines(folder / f"{split}.en", [" ".join(str(number) for number in reversed(row)) for row in rows])
    return folder


def _written(number: int) -> str:
    tens, ones = divmod(number, 10)
    if not tens:
        return _DIGITS[ones]
    return (_DIGITS[tens] if tens > 1 else "") + "십" + (_DIGITS[ones] if ones else "")


def tiny_config(text: Path, **sections: Any) -> Config:
    """Returns a config for these files; keyword arguments override sections or settings."""
    splits = {split: {"source": str(text / f"{split}.ko"), "target": str(text / f"{split}.en")} for split in _SPLITS}
    values: dict[str, Any] = {
        "name": "tiny",
        "corpora": [{"name": "numbers", "format": "lines", "splits": splits}],
        "cleaning": {"duplicates": False, "contamination": False},
        "tokenizer": {"vocabulary_size": 300},
        "batches": {"tokens": 150, "max_pieces": 40},
        "embeddings": {"size": 8},
        "encoder": {"hidden_size": 6},
        "attention": {"size": 8},
        "decoder": {"hidden_size": 8},
        "training": {"max_updates": 6, "learning_rate": 0.02, "warmup": 2},
        "validation": {"every": 2, "samples": 1},
        "search": {"max_length_ratio": 1, "max_length_extra": 2},
        "hardware": {"device": "cpu", "threads": 1},
    }
    for name, section in sections.items():
        values[name] = values.get(name, {}) | section if isinstance(section, dict) else section
    return check_config(values, "tiny")


def share_prepared(runs: Path, prepared: Path) -> Path:
    """Creates a folder for runs that shares prepared data with other tests."""
    runs.mkdir(parents=True, exist_ok=True)
    prepared.mkdir(parents=True, exist_ok=True)
    os.symlink(prepared, runs / "prepared")
    return runs


def silent(event: Event) -> None:
    """A listener that ignores events."""


def stop_at(update: int) -> Listener:
    """Returns a listener that sends SIGINT at this update."""

    def listen(event: Event) -> None:
        if isinstance(event, Updated) and event.update == update:
            signal.raise_signal(signal.SIGINT)

    return listen


def train_tiny(config: Config, run: Run, listener: Listener = silent, *, resume: bool = False) -> Outcome:
    """Trains without output."""
    return train(config, run, SilentReporter(), listener, resume=resume)


def final_state(run: Run) -> dict[str, Any]:
    """Returns the reproducible content of the last checkpoint: tensors as bytes, and the progress without times."""
    folder = run.checkpoint("last")
    state: dict[str, Any] = {
        f"{path.name}/{name}": tensor.numpy().tobytes()
        for path in sorted(folder.glob("*.safetensors"))
        for name, tensor in load_file(path).items()
    }
    progress = json.loads((folder / "progress.json").read_text("utf-8"))
    return state | {f"progress/{name}": value for name, value in progress.items() if name != "minutes"}


def metrics(run: Run) -> list[dict[str, Any]]:
    """Returns the lines of metrics.jsonl without times."""
    lines = [json.loads(line) for line in run.metrics.read_text("utf-8").splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


def assert_same_training(run: Run, other: Run) -> None:
    """Asserts that checkpoints and metrics are bitwise equal."""
    one, two = final_state(run), final_state(other)
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []
    assert metrics(run) == metrics(other)


def build_trainer(
    config: Config, run: Run, validate: Callable[[Seq2Seq], DevFigures], listener: Listener = silent
) -> Trainer:
    """Returns a trainer in a new run folder, with the given validation function."""
    prepared = prepare(config, SilentReporter())
    if not run.folder.exists():
        with run.created(RunRecord(config.name), dump_config(config)):
            pass
    sizes = prepared.tokenizer.source.size, prepared.tokenizer.target.size
    return Trainer(
        build_model(config, *sizes), training_batches(config, prepared), prepared.tokenizer, config, run,
        device=torch.device("cpu"), precision="fp32", validate=validate, listener=listener,
    )  # fmt: skip


def scripted(*, bleus: Sequence[float] = (), perplexities: Sequence[float] = ()) -> Callable[[Seq2Seq], DevFigures]:
    """Returns a validation function with these results in order; missing ones are 1."""
    left = zip_longest(bleus, perplexities)

    def validate(model: Seq2Seq) -> DevFigures:
        bleu, perplexity = next(left)
        return DevFigures(1.0 if perplexity is None else perplexity, 1.0 if bleu is None else bleu, ())

    return validate


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Limits the size of files inside the block, so that a write fails midway, as on a full disk."""
    if sys.platform == "win32":
        pytest.skip("needs a limit on file sizes")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
