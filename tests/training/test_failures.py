"""Failed updates and writes: the error names the last good checkpoint, and weights do not change."""

import errno
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from kotrans.cli import main
from kotrans.config.loading import dump_config
from kotrans.errors import CheckpointError, TrainingError
from kotrans.runs import run as runs_module
from kotrans.runs.checkpoint import verify
from kotrans.runs.run import Run
from kotrans.storage.files import write_text
from kotrans.training.events import Event, Saved
from kotrans.training.loop import Trainer
from tests.tiny_training import (
    assert_same_training,
    build_trainer,
    files_of_at_most,
    scripted,
    stop_at,
    tiny_config,
    train_tiny,
)

pytestmark = pytest.mark.e2e

CPU_MESSAGE = (
    "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to ..."
)
MEMORY_ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
    RuntimeError(CPU_MESSAGE),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("MPS backend out of memory (MPS allocated: 17.00 GB)"),
    MemoryError(),
]


def failing_trainer(text: Path, run: Run, sabotage: Callable[[Trainer], None]) -> Trainer:
    """A trainer that calls `sabotage` after saving at update 2."""

    def listen(event: Event) -> None:
        if isinstance(event, Saved) and event.update == 2:
            sabotage(trainer)

    trainer = build_trainer(tiny_config(text, training={"ema": 0.5}), run, scripted(bleus=[1, 2, 3]), listen)
    return trainer


def state_of(trainer: Trainer) -> list[bytes]:
    model, ema, optimizer, _ = trainer.state
    assert ema is not None
    moments = [value for values in optimizer.state.values() for value in values.values()]
    return [tensor.detach().numpy().tobytes() for tensor in (*model.parameters(), *ema.values(), *moments)]


def raises(error: BaseException) -> Callable[..., object]:
    def fail(*arguments: object, **settings: object) -> object:
        raise error

    return fail


def test_a_non_finite_loss_is_reported_and_changes_no_weight(runs: Path, text: Path) -> None:
    run, before = Run(runs / "run"), []

    def spoil(trainer: Trainer) -> None:
        with torch.no_grad():
            trainer.state.model.softmax.bias[5] = torch.nan
        before.extend(state_of(trainer))

    trainer = failing_trainer(text, run, spoil)
    with pytest.raises(TrainingError) as error:
        trainer.train()
    message = str(error.value)
    assert message.startswith(
        f"{run.folder}: update 3: the loss (nan) or the gradient norm (nan) is not finite (a batch"
    )
    assert " pairs, " in message
    assert " source by " in message
    assert message.endswith(f"; the last good checkpoint is {run.checkpoints / 'update-00000002'}")
    assert "\n" not in message
    assert state_of(trainer) == before


def test_a_non_finite_dev_perplexity_ends_training_before_saving(runs: Path, text: Path) -> None:
    run = Run(runs / "run")
    with pytest.raises(TrainingError, match=r"the dev perplexity is not finite; lower .*; there is no checkpoint"):
        train_tiny(tiny_config(text, training={"learning_rate": 1e38, "warmup": 0}, validation={"every": 1}), run)
    assert run.record().last is None


@pytest.mark.parametrize("error", MEMORY_ERRORS, ids=lambda error: f"{type(error).__name__}-{error}"[:40])
@pytest.mark.parametrize("where", ["output", "step"])
def test_out_of_memory_in_an_update_is_reported_and_changes_no_weight(
    error: BaseException, where: str, runs: Path, text: Path
) -> None:
    run, before = Run(runs / "run"), []

    def spoil(trainer: Trainer) -> None:
        before.extend(state_of(trainer))
        target = trainer.state.model if where == "output" else trainer.state.optimizer
        setattr(target, where, raises(error))

    trainer = failing_trainer(text, run, spoil)
    with pytest.raises(TrainingError) as caught:
        trainer.train()
    message = str(caught.value)
    assert message.startswith(f"{run.folder}: update 3: out of memory (a batch of ")
    assert message.endswith(
        f"); lower batches.tokens; the last good checkpoint is {run.checkpoints / 'update-00000002'}"
    )
    assert state_of(trainer) == before


def test_out_of_memory_in_a_validation_is_reported(runs: Path, text: Path) -> None:
    trainer = build_trainer(tiny_config(text), Run(runs / "run"), lambda model: raises(MEMORY_ERRORS[1])())  # type: ignore[arg-type, return-value]
    with pytest.raises(TrainingError, match=r"validation after update 2: out of memory .*lower search.batch"):
        trainer.train()


def test_other_errors_of_torch_keep_their_traceback(runs: Path, text: Path) -> None:
    def spoil(trainer: Trainer) -> None:
        setattr(trainer.state.model, "output", raises(RuntimeError("a bug of ours")))  # noqa: B010

    with pytest.raises(RuntimeError, match="a bug of ours"):
        failing_trainer(text, Run(runs / "run"), spoil).train()


def test_a_failed_checkpoint_leaves_the_earlier_ones_intact(
    runs: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run, straight = Run(runs / "run"), Run(runs / "straight")
    train_tiny(tiny_config(text), run, stop_at(3))
    write_text(tmp_path / "tiny.yaml", dump_config(tiny_config(text)))
    monkeypatch.setattr(
        sys, "argv", ["kotrans", "train", "-c", str(tmp_path / "tiny.yaml"), "--run", "run", "--resume"]
    )
    # Between the sizes of the model's and the optimizer's file, so that saving fails midway.
    size = (run.checkpoint("last") / "optimizer.safetensors").stat().st_size
    with files_of_at_most(size // 2 + 1000), pytest.raises(SystemExit) as exit_code:
        main()
    assert exit_code.value.code == 1
    last_line = capfd.readouterr().err.splitlines()[-1]
    folder = run.checkpoints / "update-00000004"
    assert last_line == (
        f"error: {folder}: cannot be written (File too large); nothing was written; "
        f"the last good checkpoint is {run.checkpoint('last')}"
    )
    assert sorted(path.name for path in run.checkpoints.iterdir()) == ["update-00000002", "update-00000003"]
    verify(run.checkpoint("last"))
    train_tiny(tiny_config(text), run, resume=True)
    train_tiny(tiny_config(text), straight)
    assert_same_training(run, straight)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_while_writing_metrics_is_reported_in_one_line(runs: Path, text: Path) -> None:
    run = Run(runs / "run")

    def fill(event: Event) -> None:
        if isinstance(event, Saved):
            run.metrics.unlink()
            run.metrics.symlink_to("/dev/full")

    with pytest.raises(CheckpointError) as error:
        train_tiny(tiny_config(text), run, fill)
    assert str(error.value) == (
        f"{run.metrics}: the disk is full; free some space and continue with --resume; "
        f"saved as {run.checkpoints / 'update-00000003'}"
    )
    verify(run.checkpoint("last"))


def test_a_full_disk_while_writing_run_json_is_reported_in_one_line(
    runs: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, straight = Run(runs / "run"), Run(runs / "straight")

    def fill(event: Event) -> None:
        if isinstance(event, Saved):
            full = OSError(errno.ENOSPC, "No space left on device")
            monkeypatch.setattr(runs_module, "write_json", raises(full))

    with pytest.raises(CheckpointError, match=r"run.json: the disk is full; the checkpoints it names are intact"):
        train_tiny(tiny_config(text), run, fill)
    monkeypatch.undo()
    monkeypatch.setenv("KOTRANS_RUNS", str(runs))
    verify(run.checkpoint("last"))
    train_tiny(tiny_config(text), run, resume=True)
    train_tiny(tiny_config(text), straight)
    assert_same_training(run, straight)
