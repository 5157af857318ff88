"""Resuming: a stopped and resumed run is bitwise equal to an uninterrupted one."""

import shutil
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from kotrans.config.schema import Config
from kotrans.errors import CheckpointError, ConfigError
from kotrans.model.seq2seq import Seq2Seq
from kotrans.runs.run import Run
from kotrans.storage.files import write_lines
from kotrans.training.events import DevFigures, Event, Saved, Updated, Validated
from kotrans.training.resume import last_intact_checkpoint
from kotrans.training.train import resumed_config
from tests.tiny_training import (
    assert_same_training,
    build_trainer,
    final_state,
    metrics,
    scripted,
    stop_at,
    tiny_config,
    train_tiny,
)

pytestmark = pytest.mark.e2e

EVERYTHING: dict[str, Any] = {
    "tokenizer": {"vocabulary_size": 300, "sampling": 0.2},
    "dropout": {"recurrent": 0.1, "source_word": 0.1, "target_word": 0.1},
    "decoder": {"lexical": True},
    "training": {
        "max_updates": 17, "accumulate": 2, "ema": 0.9, "schedule": "plateau", "plateau_patience": 0, "cooldown": 0.2,
        "scheduled_sampling": 0.3, "optimizer": "adamw", "weight_decay": 0.01,
    },
    "validation": {"every": 5, "patience": None},
    "checkpoints": {"every": 3, "keep": 1},
}  # fmt: skip


def interrupted(config: Config, run: Run, stops: Sequence[int]) -> Run:
    """Trains to the end with stops after these updates."""
    for number, stop in enumerate(stops):
        outcome = train_tiny(config, run, stop_at(stop), resume=number > 0)
        assert (outcome.reason, outcome.progress.update, outcome.signal) == ("signal", stop, signal.SIGINT)
        assert run.record().status == "interrupted"
    assert train_tiny(config, run, resume=True).reason == "max_updates"
    return run


@pytest.fixture(scope="module")
def straight(text: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An uninterrupted run of EVERYTHING."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("runs")
        (folder / "prepared").symlink_to(prepared)
        patch.setenv("KOTRANS_RUNS", str(folder))
        run = Run(folder / "straight")
        train_tiny(tiny_config(text, **EVERYTHING), run)
    return run


# Update 5 has a validation, 3 a checkpoint only, 4 neither; an epoch has about five updates.
@pytest.mark.parametrize("stops", [[1], [5], [3, 4], [10, 11, 16]], ids=str)
def test_a_stopped_and_resumed_run_equals_an_uninterrupted_one(
    stops: list[int], straight: Run, runs: Path, text: Path
) -> None:
    assert_same_training(interrupted(tiny_config(text, **EVERYTHING), Run(runs / "stopped"), stops), straight)


def test_the_uninterrupted_run_exercises_all_state_that_resuming_could_lose(straight: Run) -> None:
    lines = metrics(straight)
    updates = [line for line in lines if line["kind"] == "update"]
    assert [line["update"] for line in updates] == list(range(1, 18))
    assert {line["epoch"] for line in updates} >= {1, 2, 3}
    assert [line["update"] for line in lines if line["kind"] == "validation"] == [5, 10, 15, 17]
    assert updates[12]["learning_rate"] < updates[2]["learning_rate"]  # the plateau was reached
    assert updates[-1]["learning_rate"] < updates[12]["learning_rate"]  # and the rate cooled down
    names = {path.name for path in straight.checkpoint("last").glob("*.safetensors")}
    assert names == {f"{each}.safetensors" for each in ("model", "average", "optimizer", "shortlist")}


def test_the_same_config_and_seed_give_the_same_run(straight: Run, runs: Path, text: Path) -> None:
    again = Run(runs / "again")
    train_tiny(tiny_config(text, **EVERYTHING), again)
    assert_same_training(again, straight)


def test_another_seed_gives_another_run(runs: Path, text: Path) -> None:
    one, two = Run(runs / "one"), Run(runs / "two")
    train_tiny(tiny_config(text), one)
    train_tiny(tiny_config(text, seed=2), two)
    assert metrics(one) != metrics(two)


def test_a_signal_after_a_validation_stops_with_its_checkpoint(runs: Path, text: Path) -> None:
    config, run, straight = tiny_config(text), Run(runs / "stopped"), Run(runs / "straight")

    def stop_in_validation(event: Event) -> None:
        if isinstance(event, Validated) and event.update == 2:
            signal.raise_signal(signal.SIGTERM)

    outcome = train_tiny(config, run, stop_in_validation)
    assert (outcome.reason, outcome.signal, run.record().last) == ("signal", signal.SIGTERM, "update-00000002")
    train_tiny(config, run, resume=True)
    train_tiny(config, straight)
    assert_same_training(run, straight)


def test_a_second_signal_stops_immediately_and_keeps_the_last_checkpoint(runs: Path, text: Path) -> None:
    config, run, straight = tiny_config(text), Run(runs / "stopped"), Run(runs / "straight")

    def stop_twice(event: Event) -> None:
        if isinstance(event, Updated) and event.update == 3:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train_tiny(config, run, stop_twice)
    assert run.record().last == "update-00000002"
    train_tiny(config, run, resume=True)
    train_tiny(config, straight)
    assert_same_training(run, straight)


def test_a_stop_before_a_validation_saves_first_and_the_resumed_run_validates(runs: Path, text: Path) -> None:
    config, run, straight = tiny_config(text), Run(runs / "stopped"), Run(runs / "straight")
    seen: list[Event] = []

    def listen(event: Event) -> None:
        seen.append(event)
        if isinstance(event, Updated) and event.update in (4, 6):
            signal.raise_signal(signal.SIGTERM)

    for update in (4, 6):  # 6 is the last update
        seen.clear()
        outcome = train_tiny(config, run, listen, resume=update > 4)
        assert (outcome.reason, outcome.progress.validation_due) == ("signal", True)
        assert [type(event) for event in seen[-2:]] == [Updated, Saved]
        assert run.record().last == f"update-{update:08d}-before-validation"
        assert run.record().status == "interrupted"
    assert train_tiny(config, run, resume=True).reason == "max_updates"
    train_tiny(config, straight)
    assert_same_training(run, straight)
    assert run.record().kept == straight.record().kept


def test_an_interrupted_validation_is_repeated_on_resume(runs: Path, text: Path) -> None:
    config, run, straight = tiny_config(text, training={"ema": 0.5}), Run(runs / "stopped"), Run(runs / "straight")
    build_trainer(config, straight, scripted(bleus=[1, 2, 3])).train()
    trainers = []

    def interrupted(model: Seq2Seq) -> DevFigures:
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("validation was not interrupted")

    for resume in (False, True):  # a resumed run starts with the validation
        trainer = build_trainer(config, run, interrupted)
        trainers.append(trainer)
        if resume:
            trainer.resume()
        trained = [parameter.detach().clone() for parameter in trainer.state.model.parameters()]
        outcome = trainer.train()
        assert (outcome.reason, outcome.progress.update, outcome.signal) == ("signal", 2, signal.SIGINT)
        assert run.record().kept == ["update-00000002-before-validation"]
    assert all(map(torch.equal, trained, trainers[-1].state.model.parameters()))
    again = build_trainer(config, run, scripted(bleus=[1, 2, 3]))
    again.resume()
    again.train()
    one, two = final_state(run), final_state(straight)
    assert [name for name in one if one[name] != two[name]] == []


def test_a_changed_number_of_threads_is_logged_on_resume(
    runs: Path, text: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(runs / "run")
    config = tiny_config(text, batches={"tokens": 2000}, hardware={"threads": 2})
    train_tiny(config, run, stop_at(3))
    train_tiny(config, run, stop_at(4), resume=True)
    assert not caplog.records
    train_tiny(tiny_config(text, batches={"tokens": 2000}, hardware={"threads": 1}), run, resume=True)
    (message,) = [record.getMessage() for record in caplog.records]
    assert message == (
        f"{run.folder}: resumed with 1 threads instead of 2; dropout masks and rounding will differ "
        "(--set hardware.threads=2 avoids this)"
    )


def test_signal_handlers_are_restored_after_training(runs: Path, text: Path) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    train_tiny(tiny_config(text), Run(runs / "run"))
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_run_without_checkpoints_resumes_from_the_beginning(runs: Path, text: Path) -> None:
    config, run, straight = tiny_config(text), Run(runs / "died"), Run(runs / "straight")

    def die(event: Event) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train_tiny(config, run, die)
    assert run.record().last is None
    train_tiny(config, run, resume=True)
    train_tiny(config, straight)
    assert_same_training(run, straight)


def test_leftovers_of_a_crash_while_saving_are_removed(runs: Path, text: Path) -> None:
    config, run, straight = tiny_config(text), Run(runs / "killed"), Run(runs / "straight")
    train_tiny(config, run, stop_at(3))
    for name in ("update-00000004", ".update-00000006-0123456789abcdef"):
        shutil.copytree(run.checkpoint("last"), run.checkpoints / name)
    (run.folder / ".run.json-0123456789abcdef").touch()
    train_tiny(config, run, resume=True)
    train_tiny(config, straight)
    assert_same_training(run, straight)
    assert not list(run.folder.rglob(".*"))
    assert sorted(path.name for path in run.checkpoints.iterdir()) == run.record().kept


def test_more_updates_continue_a_finished_run(runs: Path, text: Path) -> None:
    run, straight = Run(runs / "raised"), Run(runs / "straight")
    train_tiny(tiny_config(text, training={"max_updates": 4}), run)
    assert run.record().status == "finished"
    train_tiny(tiny_config(text, training={"max_updates": 6}), run, resume=True)
    train_tiny(tiny_config(text, training={"max_updates": 6}), straight)
    assert [line["update"] for line in metrics(run)] == [line["update"] for line in metrics(straight)]
    for name in ("model", "optimizer"):
        path = f"{name}.safetensors"
        assert (run.checkpoint("last") / path).read_bytes() == (straight.checkpoint("last") / path).read_bytes()


def test_a_resumed_run_is_unfinished_until_it_ends(runs: Path, text: Path) -> None:
    run = Run(runs / "raised")
    train_tiny(tiny_config(text, training={"max_updates": 2}), run)
    seen = []
    train_tiny(tiny_config(text), run, lambda event: seen.append(run.record().status), resume=True)
    assert set(seen) == {"training"}
    assert run.record().status == "finished"


def test_resuming_a_finished_run_changes_nothing(runs: Path, text: Path) -> None:
    run = Run(runs / "run")
    train_tiny(tiny_config(text), run)
    before = {path: path.read_bytes() for path in run.checkpoints.rglob("*") if path.is_file()}
    assert train_tiny(tiny_config(text), run, resume=True).reason == "max_updates"
    assert {path: path.read_bytes() for path in run.checkpoints.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("tokens", [75, 300])
def test_changed_batch_tokens_resume_at_the_same_share_of_the_epoch(tokens: int, runs: Path, text: Path) -> None:
    run = Run(runs / "run")
    limits = {"max_updates": 1000, "max_epochs": 1}
    stopped = train_tiny(tiny_config(text, batches={"tokens": 150}, training=limits), run, stop_at(6))
    before = [line for line in metrics(run) if line["kind"] == "update"][-1]
    assert before["share_done"] < 0.9
    other = tiny_config(text, batches={"tokens": tokens}, training=limits)
    done = train_tiny(other, run, resume=True).progress
    after = [line for line in metrics(run) if line["kind"] == "update"][6]
    assert 0 < after["share_done"] - before["share_done"] < 0.25
    assert done.target_tokens == pytest.approx(stopped.progress.target_tokens / before["share_done"], rel=0.2)


def test_a_changed_learning_rate_takes_effect_and_is_reported(runs: Path, text: Path) -> None:
    run = Run(runs / "run")
    train_tiny(tiny_config(text, training={"schedule": "constant"}), run, stop_at(3))
    changed = tiny_config(text, training={"schedule": "constant", "learning_rate": 0.005})
    assert resumed_config(run, changed) == ["training.learning_rate: 0.02 -> 0.005"]
    train_tiny(changed, run, resume=True)
    rates = [line["learning_rate"] for line in metrics(run) if line["kind"] == "update"]
    assert rates == [0.01, 0.02, 0.02, 0.005, 0.005, 0.005]
    assert resumed_config(run, changed) == []  # the run's config is the new one


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"encoder": {"hidden_size": 7}}, "encoder.hidden_size: 6 -> 7"),
        ({"attention": {"score": "general"}}, "attention.score: additive -> general"),
        ({"tokenizer": {"vocabulary_size": 310}}, "tokenizer.vocabulary_size: 300 -> 310"),
        ({"batches": {"max_pieces": 30}}, "batches.max_pieces: 40 -> 30"),
        ({"seed": 2}, "seed: 1 -> 2"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_settings_that_weights_depend_on_cannot_change_on_resume(
    section: dict[str, Any], message: str, runs: Path, text: Path
) -> None:
    run = Run(runs / "run")
    train_tiny(tiny_config(text, training={"max_updates": 1}), run)
    with pytest.raises(ConfigError) as error:
        resumed_config(run, tiny_config(text, **section))
    assert str(run.folder) in str(error.value)
    assert message in str(error.value)


def test_a_changed_corpus_is_refused_and_leaves_the_run_unchanged(runs: Path, text: Path, tmp_path: Path) -> None:
    run = Run(runs / "run")
    train_tiny(tiny_config(text, training={"max_updates": 1}), run)
    config_before, record_before = (run.folder / "config.yaml").read_bytes(), run.record()
    changed = tmp_path / "changed"
    for path in text.iterdir():
        write_lines(changed / path.name, [*path.read_text("utf-8").splitlines(), "삼" if path.suffix == ".ko" else "3"])
    with pytest.raises(CheckpointError, match=r"was trained on dataset .* restore the original text"):
        train_tiny(tiny_config(changed), run, resume=True)
    assert (run.folder / "config.yaml").read_bytes() == config_before
    assert run.record() == record_before


def test_an_ema_that_is_turned_on_later_starts_from_the_weights(runs: Path, text: Path) -> None:
    run = Run(runs / "run")
    train_tiny(tiny_config(text, training={"max_updates": 4}), run)
    trained = (run.checkpoint("last") / "model.safetensors").read_bytes()
    averaged = tiny_config(text, training={"max_updates": 5, "learning_rate": 1e-30, "ema": 0.99})
    train_tiny(averaged, run, resume=True)
    assert (run.checkpoint("last") / "average.safetensors").read_bytes() == trained


def test_two_processes_cannot_train_the_same_run(runs: Path, text: Path) -> None:
    config, run = tiny_config(text), Run(runs / "run")
    train_tiny(config, run, stop_at(3))
    assert not Run(run.folder).is_claimed()  # training is over
    assert run.claim()
    try:
        with pytest.raises(CheckpointError, match="another process is training this run"):
            train_tiny(config, Run(run.folder), resume=True)
    finally:
        run.release()
    train_tiny(config, Run(run.folder), resume=True)


def damage(folder: Path) -> None:
    path = folder / "optimizer.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def test_resuming_skips_damaged_checkpoints_and_renames_them(
    runs: Path, text: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config, run, straight = (
        tiny_config(text, **EVERYTHING | {"checkpoints": {"every": 3, "keep": 3}}),
        Run(runs / "damaged"),
        Run(runs / "straight"),
    )
    train_tiny(config, straight)
    train_tiny(config, run, stop_at(11))
    last = run.checkpoint("last")
    damage(last)
    damage(run.checkpoints / run.record().kept[-2])
    train_tiny(config, run, resume=True)
    (message,) = [record.getMessage() for record in caplog.records]
    assert message == (
        f"{last}: this checkpoint is damaged (optimizer.safetensors is missing or not what was written); "
        "use another checkpoint of the run; resuming from update-00000009"
    )
    assert_same_training(run, straight)
    there = sorted(path.name for path in run.checkpoints.iterdir())
    assert there == sorted([*run.record().kept, *run.record().damaged])
    assert run.record().damaged == ["update-00000010.damaged", "update-00000011.damaged"]


def test_a_damaged_best_checkpoint_is_no_longer_the_best(runs: Path, text: Path) -> None:
    run = Run(runs / "run")
    train_tiny(tiny_config(text, training={"max_updates": 4}), run)
    run.write(replace(run.record(), best="update-00000004"))
    damage(run.checkpoints / "update-00000004")
    assert last_intact_checkpoint(run) == "update-00000002"
    record = run.record()
    assert (record.last, record.best, record.kept) == ("update-00000002",) * 2 + (["update-00000002"],)


def test_a_run_whose_checkpoints_are_all_damaged_is_not_changed(runs: Path, text: Path) -> None:
    run = Run(runs / "run")
    train_tiny(tiny_config(text), run)
    record = run.record()
    for folder in run.checkpoints.iterdir():
        damage(folder)
    with pytest.raises(CheckpointError, match=r"update-00000006: this checkpoint is damaged"):
        train_tiny(tiny_config(text), run, resume=True)
    assert run.record() == record
    assert sorted(path.name for path in run.checkpoints.iterdir()) == record.kept
