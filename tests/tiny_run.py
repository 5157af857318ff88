"""A tiny run trained with the real commands, and a function that calls commands like the console script."""

import io
import itertools
import random
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from kotrans.cli import main
from kotrans.storage.files import write_lines

_WHO = {"저는": "I", "우리는": "We", "너는": "You", "그들은": "They"}
_WHICH = {"작은": "small", "큰": "big", "새": "new", "오래된": "old"}
_WHAT = {
    "고양이": "cat",
    "강아지": "dog",
    "나무": "tree",
    "의자": "chair",
    "사과": "apple",
    "우유": "milk",
    "바다": "sea",
}
_DOES = {"봅니다": "see", "찾습니다": "find", "좋아합니다": "like", "그립니다": "draw", "기다립니다": "wait for"}

CONFIG = """
corpora:
  - name: own
    format: lines
    splits:
      train: {{source: {folder}/train.ko, target: {folder}/train.en}}
      dev: {{source: {folder}/dev.ko, target: {folder}/dev.en}}
      test: {{source: {folder}/test.ko, target: {folder}/test.en}}
tokenizer: {{vocabulary_size: 340}}
batches: {{tokens: 600, max_pieces: 16}}
embeddings: {{size: 16}}
encoder: {{hidden_size: 12}}
attention: {{size: 16}}
decoder: {{hidden_size: 16}}
dropout: {{embedding: 0, layers: 0, output: 0}}
training: {{max_updates: 160, learning_rate: 0.02, warmup: 20}}
validation: {{every: 80, sentences: 10}}
hardware: {{threads: 1, device: cpu}}
"""


class Result(NamedTuple):
    """Exit code and output of a command."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Lines of standard output, split at "\\n" only."""
        return self.out.removesuffix("\n").split("\n") if self.out else []


def kotrans(*arguments: str | Path, stdin: bytes = b"") -> Result:
    """Runs a command in this process, through the entry point of the console script."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="ascii") for _ in range(2))
    typed = io.TextIOWrapper(io.BytesIO(stdin))
    with (
        mock.patch.object(sys, "argv", ["kotrans", *map(str, arguments)]),
        mock.patch.object(sys, "stdin", typed),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(bool(end.code))
    out.flush()
    err.flush()
    return Result(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))


def write_pairs(folder: Path) -> None:
    """Writes 560 pairs in which every word has one translation."""
    pairs = [
        (f"{who} {which} {what}를 {does}.", f"{_WHO[who]} {_DOES[does]} the {_WHICH[which]} {_WHAT[what]}.")
        for who, which, what, does in itertools.product(_WHO, _WHICH, _WHAT, _DOES)
    ]
    random.Random(1).shuffle(pairs)
    for split, part in (("train", pairs[:480]), ("dev", pairs[480:520]), ("test", pairs[520:])):
        write_lines(folder / f"{split}.ko", [source for source, _ in part])
        write_lines(folder / f"{split}.en", [target for _, target in part])


def write_config(folder: Path, name: str = "tiny", more: str = "") -> Path:
    """Writes a config of a very small model on the pairs in the folder."""
    path = folder / f"{name}.yaml"
    path.write_text(CONFIG.format(folder=folder) + more, encoding="utf-8")
    return path


class TinyRun(NamedTuple):
    """A folder with pairs and a config, the folder of its runs, and the result of training."""

    folder: Path
    runs: Path
    trained: Result


def train_tiny_run(folder: Path) -> TinyRun:
    """Trains `tiny` in folder/runs."""
    write_pairs(folder)
    with mock.patch.dict("os.environ", {"KOTRANS_RUNS": str(folder / "runs")}):
        trained = kotrans("train", "-c", write_config(folder))
    assert trained.code == 0, trained.err
    return TinyRun(folder, folder / "runs", trained)
