"""Temporary files of killed processes are removed, and those of living processes are not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kotrans.storage.files import new_directory, new_file
from kotrans.storage.scratch import ABANDONED_AFTER, remove_abandoned, remove_folder

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
OTHER_MACHINE = ".dataset-00000000-0123456789abcdef"
WRITER = """
import sys, time
from pathlib import Path
from kotrans.storage.files import new_directory, new_file
folder = Path(sys.argv[1])
with new_directory(folder / "dataset"), new_file(folder / "words.json"), new_file(folder / "run.yaml"):
    print("created", flush=True)
    time.sleep(600)
"""


def make(path: Path, *, file: bool, age: float = 0) -> Path:
    """Creates an unlocked temporary file or folder that was last changed `age` seconds ago."""
    if file:
        path.touch()
    else:
        path.mkdir()
        (path / "half").touch()
        os.utime(path / "half", (time.time() - age,) * 2)
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_temporary_files_are_removed_after_their_process_was_killed_and_not_before(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], cwd=ROOT, text=True, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "created\n"
    created = sorted(tmp_path.iterdir())
    assert len(created) == 3
    remove_abandoned(tmp_path)
    assert sorted(tmp_path.iterdir()) == created
    process.send_signal(signal.SIGKILL)
    process.communicate()
    remove_abandoned(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("file", [True, False])
def test_files_of_another_machine_are_removed_only_after_a_week_without_a_change(tmp_path: Path, file: bool) -> None:
    """A lock on a shared disk may be visible only on the machine that holds it."""
    for age, stays in ((0.0, True), (ABANDONED_AFTER / 2, True), (ABANDONED_AFTER + 60, False)):
        name = OTHER_MACHINE.replace("dataset", f"dataset-{age}")
        theirs = make(tmp_path / name, file=file, age=age)
        remove_abandoned(tmp_path)
        assert theirs.exists() == stays


def test_a_change_inside_a_folder_of_another_machine_counts(tmp_path: Path) -> None:
    theirs = make(tmp_path / OTHER_MACHINE, file=False, age=ABANDONED_AFTER + 60)
    (theirs / "half").write_text("more")
    os.utime(theirs, (0, 0))
    remove_abandoned(tmp_path)
    assert theirs.exists()


def test_other_hidden_files_are_left_alone(tmp_path: Path) -> None:
    for name in (".digests.json", ".tiny.lock", ".cache-1", "dataset-01234567-0123456789abcdef"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    remove_abandoned(tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


def test_temporary_files_are_locked_until_the_block_ends(tmp_path: Path) -> None:
    with new_directory(tmp_path / "folder"), new_file(tmp_path / "file"):
        remove_abandoned(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_folder_is_removed_with_its_content(tmp_path: Path) -> None:
    (tmp_path / "run" / "deep").mkdir(parents=True)
    (tmp_path / "run" / "deep" / "file").touch()
    remove_folder(tmp_path / "run")
    assert not list(tmp_path.iterdir())
