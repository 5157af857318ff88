"""Run folders: names, claims, default runs, and checkpoints."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kotrans.errors import CheckpointError, UsageError
from kotrans.runs.run import Run, RunRecord, Status
from kotrans.runs.runs_folder import all_runs, find_run, new_run

pytestmark = pytest.mark.e2e

CLAIM = """
import sys
from kotrans.runs.run import RunRecord
from kotrans.runs.runs_folder import new_run
run = new_run(None, "tiny")
print(run.name, flush=True)
sys.stdin.readline()
with run.created(RunRecord("tiny", status="finished"), ""):
    pass
"""


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KOTRANS_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def make(run: Run, status: Status = "finished", config: str = "tiny") -> Run:
    """Creates a run with a record and nothing else."""
    with run.created(RunRecord(config, status=status), "name: tiny\n"):
        pass
    return run


def test_unnamed_runs_get_the_name_of_their_config_and_a_number() -> None:
    names = []
    for _ in range(3):
        run = new_run(None, "tiny")
        make(run).release()
        names.append(run.name)
    assert names == ["tiny", "tiny-2", "tiny-3"]


def test_a_name_is_taken_while_a_process_claims_it() -> None:
    first = new_run(None, "tiny")
    assert new_run(None, "tiny").name == "tiny-2"
    with pytest.raises(UsageError, match="tiny: another process is creating this run; choose another --run name"):
        new_run("tiny", "other")
    first.release()
    assert new_run(None, "tiny").name == "tiny"


def test_processes_starting_together_get_different_names(runs: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM], cwd=Path(__file__).parents[2], text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(4)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout
        process.stdout.read(1)  # all have claimed a name before the first creates its folder
    for process in processes:
        process.communicate("\n")
        assert process.returncode == 0
    assert sorted(run.name for run in all_runs()) == ["tiny", "tiny-2", "tiny-3", "tiny-4"]


def test_a_killed_process_releases_its_claim(runs: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", CLAIM], cwd=Path(__file__).parents[2], text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout
    assert process.stdout.readline() == "tiny\n"
    assert new_run(None, "tiny").name == "tiny-2"
    process.kill()
    process.communicate()
    assert new_run(None, "tiny").name == "tiny"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "/etc", "../up", ".hidden", "prepared", "a b", "-x", "a\nb", "a\\b", "x" * 81]
)
def test_invalid_run_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a run's name"):
        new_run(name, "tiny")


@pytest.mark.parametrize("name", ["a", "한국어", "open-ko-en_2", "v1.5", "x" * 80])
def test_valid_names_are_used_unchanged(name: str, runs: Path) -> None:
    assert make(new_run(name, "tiny")).folder == runs / name
    assert find_run(name).name == name


def test_a_name_in_use_is_refused_with_a_remedy() -> None:
    make(Run(new_run("mine", "tiny").folder))
    with pytest.raises(
        UsageError, match="mine: exists already; continue it with --resume, or choose another --run name"
    ):
        new_run("mine", "tiny")


def test_a_config_named_prepared_gets_a_numbered_run() -> None:
    assert new_run(None, "prepared").name == "prepared-2"


def test_a_folder_created_meanwhile_is_not_written_to(runs: Path) -> None:
    run = new_run("mine", "tiny")
    (runs / "mine").mkdir()
    (runs / "mine" / "somebody's").touch()
    with pytest.raises(UsageError, match="exists already"):
        make(run)
    assert [path.name for path in (runs / "mine").iterdir()] == ["somebody's"]
    assert not list(runs.glob(".mine-*"))


def test_a_run_is_created_completely_or_not_at_all(runs: Path) -> None:
    def fail() -> None:
        with new_run("mine", "tiny").created(RunRecord("tiny"), "") as run:
            (run.folder / "half").touch()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not list(runs.glob("*mine*/*"))
    assert not (runs / "mine").exists()


def test_the_default_run_is_the_most_recently_finished_one() -> None:
    for name, status in (("old", "finished"), ("new", "finished"), ("going", "training"), ("cut", "interrupted")):
        make(Run(new_run(name, "tiny").folder), status)  # type: ignore[arg-type]
    assert find_run(None).name == "new"
    Run(find_run("old").folder).write(RunRecord("tiny", status="finished"))
    assert find_run(None).name == "old"


def test_the_default_run_to_resume_is_the_most_recent_unclaimed_one() -> None:
    for name, status in (("cut", "interrupted"), ("died", "training"), ("live", "training"), ("done", "finished")):
        make(Run(new_run(name, "tiny").folder), status)  # type: ignore[arg-type]
    live = find_run("live")
    assert live.claim()
    assert find_run(None, unfinished=True).name == "died"
    live.release()
    assert find_run(None, unfinished=True).name == "live"


def test_runs_to_resume_can_be_restricted_to_a_config() -> None:
    make(Run(new_run("a", "tiny").folder), "interrupted", config="one")
    make(Run(new_run("b", "tiny").folder), "interrupted", config="two")
    assert find_run(None, unfinished=True, config="one").name == "a"
    with pytest.raises(CheckpointError, match="no unfinished run"):
        find_run(None, unfinished=True, config="three")


def test_an_unknown_run_is_reported_with_the_existing_ones(runs: Path) -> None:
    with pytest.raises(CheckpointError, match="no finished run yet; train one with `kotrans train`"):
        find_run(None)
    with pytest.raises(CheckpointError, match="there is no such run; existing runs: none"):
        find_run("nope")
    make(Run(new_run("cut", "tiny").folder), "interrupted")
    with pytest.raises(CheckpointError, match="cut is unfinished: select it with --run, or finish it with --resume"):
        find_run(None)
    with pytest.raises(CheckpointError, match="there is no such run; existing runs: cut"):
        find_run("nope")


def test_a_run_without_checkpoints_is_reported_with_a_remedy() -> None:
    run = make(new_run("mine", "tiny"))
    with pytest.raises(
        CheckpointError, match="no checkpoint yet; resume training with `kotrans train --run mine --resume`"
    ):
        run.checkpoint()


def test_an_unknown_checkpoint_is_reported_with_the_available_ones() -> None:
    run = make(new_run("mine", "tiny"))
    (run.checkpoints / "update-00000002").mkdir(parents=True)
    run.add_checkpoint("update-00000002", run.record(), best=False, keep=1)
    assert run.checkpoint("best") == run.checkpoint("last") == run.checkpoint("update-00000002")
    with pytest.raises(CheckpointError, match="has no checkpoint update-00000009; available: update-00000002"):
        run.checkpoint("update-00000009")


def test_one_damaged_run_does_not_hide_the_others(runs: Path, caplog: pytest.LogCaptureFixture) -> None:
    make(new_run("good", "tiny"))
    (runs / "bad").mkdir()
    (runs / "bad" / "run.json").write_text("[]")
    with caplog.at_level(logging.WARNING):
        assert [run.name for run in all_runs()] == ["good"]
    assert "run.json is missing or damaged" in caplog.text


def test_a_run_being_created_is_not_listed(runs: Path) -> None:
    with new_run("mine", "tiny").created(RunRecord("tiny"), "") as run:
        run.write(RunRecord("tiny"))
        assert list(all_runs()) == []


def test_only_leftovers_of_a_crash_are_removed() -> None:
    run = make(new_run("mine", "tiny"))
    for name in ("update-00000001", "update-00000002", ".update-00000003-abc"):
        (run.checkpoints / name).mkdir(parents=True)
        (run.checkpoints / name / "model.safetensors").touch()
    for name in (".run.json-abc", ".metrics.jsonl-abc", ".config.yaml-abc", "metrics.jsonl", "notes.txt"):
        (run.folder / name).touch()
    run.remove_leftovers(RunRecord("tiny", kept=["update-00000002"]))
    assert [path.name for path in run.checkpoints.iterdir()] == ["update-00000002"]
    names = {path.name for path in run.folder.iterdir()}
    assert names == {"checkpoints", "config.yaml", "metrics.jsonl", "notes.txt", "run.json"}


def test_the_size_includes_all_files_and_tolerates_removed_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    run = make(new_run("mine", "tiny"))
    before = run.size
    run.checkpoints.mkdir()
    (run.checkpoints / "file").write_bytes(bytes(1000))
    assert run.size - before == 1000
    os.symlink("nowhere", run.folder / "gone")
    is_file = Path.is_file
    monkeypatch.setattr(
        Path, "is_file", lambda path: path.name == "gone" or is_file(path)
    )  # as if removed after the check
    assert run.size - before == 1000


def test_a_run_json_that_is_nested_too_deeply_is_damaged(runs: Path) -> None:
    run = make(new_run("mine", "tiny"))
    (run.folder / "run.json").write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"run\.json is missing or damaged"):
        run.record()
