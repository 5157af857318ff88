"""The stages before training: reused while their inputs are unchanged, and made again when they change."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kotrans.config.loading import load_config
from kotrans.data import stages
from kotrans.data.prepare_corpus import prepare_corpus
from kotrans.data.stages import SilentReporter, Stage, clean, prepare
from kotrans.errors import DataError
from kotrans.storage.files import write_lines
from tests.tiny_run import kotrans, write_config, write_pairs

pytestmark = pytest.mark.e2e


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KOTRANS_RUNS", str(tmp_path / "runs"))
    write_pairs(tmp_path)
    return write_config(tmp_path)


def states(config: Path, *settings: str) -> dict[str, bool]:
    """Runs `kotrans prepare`, and returns for each stage whether it was made."""
    result = kotrans("prepare", "-c", config, *(word for each in settings for word in ("--set", each)))
    assert result.code == 0, result.err
    stages = re.findall(r"^(\w+) +\S+?((?: \(up to date\))?)$", result.err, re.MULTILINE)
    return {name: not up_to_date for name, up_to_date in stages}


STUCK = """
import sys, time
from pathlib import Path
from kotrans.config.loading import load_config
from kotrans.data.stages import SilentReporter, prepare

class Stuck(SilentReporter):
    def progress(self, what, done, total):
        print(flush=True)
        time.sleep(999)

prepare(load_config(Path(sys.argv[1])), Stuck())
"""


@contextmanager
def preparing(config: Path) -> Iterator[None]:
    """Runs another process that is preparing during the block and is killed at its end."""
    with subprocess.Popen([sys.executable, "-c", STUCK, str(config)], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            assert process.stdout.readline()
            yield
        finally:
            process.kill()


def test_temporary_folders_of_killed_processes_are_removed_and_those_of_live_ones_kept(config: Path) -> None:
    folder = config.parent / "runs" / "prepared"
    with preparing(config):
        (left,) = folder.glob(".corpus-*")
    with preparing(config):
        (kept,) = folder.glob(".corpus-*")
        assert kept != left
        assert any(states(config).values())
        assert list(folder.glob(".corpus-*")) == [kept]
    assert not any(states(config).values())
    assert list(folder.glob(".corpus-*")) == []


def made(config: Path) -> list[Path]:
    """The prepared folders."""
    return list((config.parent / "runs" / "prepared").glob("[!.]*"))


def test_a_second_preparation_reports_every_stage_as_up_to_date(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert states(config) == {"corpus": True, "tokenizer": True, "dataset": True, "shortlist": True}
    for name in ("prepare_corpus", "train_tokenizer", "prepare_dataset"):
        monkeypatch.setattr(stages, name, None)  # would fail if a stage were made again
    assert states(config) == {"corpus": False, "tokenizer": False, "dataset": False, "shortlist": False}


def test_a_start_does_not_read_the_prepared_text_again(config: Path) -> None:
    states(config)
    for text in (config.parent / "runs" / "prepared").glob("corpus-*/train.*"):
        text.unlink()
    assert not any(states(config).values())


@pytest.mark.parametrize(
    ("setting", "made"),
    [
        ("cleaning.max_characters=20", "corpus tokenizer dataset shortlist"),
        ("tokenizer.vocabulary_size=330", "tokenizer dataset shortlist"),
        ("batches.max_pieces=9", "dataset shortlist"),
        ("batches.tokens=500", ""),
        ("training.learning_rate=0.5", ""),
        ("tokenizer.sampling=0.1", ""),
        ("encoder.hidden_size=20", ""),
        ("name=other", ""),
    ],
)
def test_a_changed_setting_remakes_only_the_stages_that_depend_on_it(setting: str, made: str, config: Path) -> None:
    states(config)
    assert " ".join(name for name, is_made in states(config, setting).items() if is_made) == made
    assert not any(states(config).values())  # the earlier stages are kept


def test_changed_text_remakes_all_stages_and_moved_text_none(config: Path, tmp_path: Path) -> None:
    states(config)
    (tmp_path / "elsewhere").mkdir()
    write_pairs(tmp_path / "elsewhere")
    assert not any(states(write_config(tmp_path / "elsewhere")).values())
    for side, line in (("ko", "바다가 좋습니다.\n"), ("en", "The sea is good.\n")):
        with (tmp_path / f"train.{side}").open("a", encoding="utf-8") as file:
            file.write(line)
    assert all(states(config).values())


def test_each_stage_command_reuses_the_earlier_stages(config: Path) -> None:
    cleaned = kotrans("clean", "-c", config)
    assert cleaned.code == 0
    assert re.search(r"^kept +480$", cleaned.out, re.MULTILINE)
    assert re.search(r"^dropped: duplicates +0$", cleaned.out, re.MULTILINE)
    tokenized = kotrans("tokenize", "-c", config)
    assert (Path(tokenized.lines[-1]) / "source.model").is_file()
    assert "(up to date)" in tokenized.err
    prepared = kotrans("prepare", "-c", config)
    assert (Path(prepared.lines[-1]) / "manifest.json").is_file()
    assert prepared.err.count("(up to date)") == 2


def test_fetch_has_nothing_to_do_for_local_files_and_the_starter_corpus(config: Path) -> None:
    assert "nothing to fetch" in kotrans("fetch", "-c", config).err
    assert kotrans("fetch", "starter").out.startswith("starter: ")


def test_of_two_concurrent_preparations_one_uses_the_folder_of_the_other(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(2)

    def at_once(*arguments: object) -> object:
        together.wait(60)
        return prepare_corpus(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(stages, "prepare_corpus", at_once)
    found: list[bool] = []

    class Recorder(SilentReporter):
        def stage(self, stage: Stage) -> None:
            found.append(stage.made)

    threads = [threading.Thread(target=clean, args=(load_config(config), Recorder())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [False, True]
    assert len(made(config)) == 1


def test_an_existing_file_that_is_not_the_stage_is_an_error(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def in_the_way(*arguments: object) -> None:
        raise FileExistsError(17, "File exists", "something else")

    monkeypatch.setattr(stages, "prepare_corpus", in_the_way)
    with pytest.raises(FileExistsError, match="something else"):
        clean(load_config(config), SilentReporter())


def test_a_full_disk_leaves_no_incomplete_stage(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kotrans.storage.files.sync", full)
    with pytest.raises(DataError, match=r"corpus-.*: the disk is full; free some space"):
        prepare(load_config(config), SilentReporter())
    assert made(config) == []


def test_ctrl_c_ends_all_processes_of_a_stage_and_leaves_no_files(tmp_path: Path) -> None:
    for split, pairs in (("train", 150_000), ("dev", 5), ("test", 5)):
        write_lines(tmp_path / f"{split}.ko", [f"{split}의 문장 {number}번입니다." for number in range(pairs)])
        write_lines(tmp_path / f"{split}.en", [f"Of {split}, sentence {number}." for number in range(pairs)])
    runs = tmp_path / "runs"
    command = [
        sys.executable,
        "-m",
        "kotrans",
        "clean",
        "-c",
        str(write_config(tmp_path)),
        "--set",
        "hardware.threads=2",
    ]
    process = subprocess.Popen(
        command,
        env={**os.environ, "KOTRANS_RUNS": str(runs)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not any(path.stat().st_size for path in runs.glob("prepared/.corpus-*/train.ko")):
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate()  # waits for all processes that have it open
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert list((runs / "prepared").glob(".corpus-*")) == []


def test_a_file_that_is_in_the_way_inside_a_stage_is_not_taken_for_another_process(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise FileExistsError(17, "File exists", "inside")

    monkeypatch.setattr(stages, "prepare_corpus", fail)
    with pytest.raises(FileExistsError, match="inside"):
        clean(load_config(config), SilentReporter())
