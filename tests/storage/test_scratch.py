"""What a killed process left is removed, and nothing that a living one has."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kotrans.storage.files import new_directory, new_file
from kotrans.storage.scratch import ABANDONED_AFTER, held_scratch, is_scratch, release, remove_abandoned, scratch_path

ROOT = Path(__file__).parents[2]
HOLDER = """
import sys, time
from pathlib import Path
from kotrans.storage.files import new_directory, new_file
folder = Path(sys.argv[1])
with new_directory(folder / "dataset"), new_file(folder / "words.json"), new_file(folder / "run.yaml"):
    print("made", flush=True)
    time.sleep(600)
"""


def make(path: Path, *, file: bool, age: float = 0) -> Path:
    """A temporary file or folder that nobody holds, last changed so many seconds ago."""
    if file:
        path.touch()
    else:
        path.mkdir()
        (path / "half").touch()
        os.utime(path / "half", (time.time() - age,) * 2)
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_what_a_process_that_was_killed_left_is_removed_at_the_next_start(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], cwd=ROOT, text=True, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "made\n"
    alive = sorted(tmp_path.iterdir())
    assert len(alive) == 3
    assert all(is_scratch(path.name) for path in alive)
    remove_abandoned(tmp_path)
    assert sorted(tmp_path.iterdir()) == alive  # it lives
    process.send_signal(signal.SIGKILL)
    process.communicate()
    remove_abandoned(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("file", [True, False])
def test_another_machine_s_is_left_alone_until_nothing_has_changed_for_a_week(tmp_path: Path, file: bool) -> None:
    """Its process may live: a lock on a shared disk may be seen on its own machine alone."""
    for age, stays in ((0.0, True), (ABANDONED_AFTER / 2, True), (ABANDONED_AFTER + 60, False)):
        theirs = make(scratch_path(tmp_path / "dataset", machine="0" * 8), file=file, age=age)
        remove_abandoned(tmp_path)
        assert theirs.exists() == stays


def test_a_change_anywhere_in_another_machine_s_folder_counts(tmp_path: Path) -> None:
    theirs = make(scratch_path(tmp_path / "dataset", machine="0" * 8), file=False, age=ABANDONED_AFTER + 60)
    (theirs / "half").write_text("more")
    os.utime(theirs, (0, 0))
    remove_abandoned(tmp_path)
    assert theirs.exists()


def test_other_hidden_files_are_nobody_s_business(tmp_path: Path) -> None:
    for name in (".digests.json", ".tiny.lock", ".cache-1", "dataset-0123456789abcdef"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    remove_abandoned(tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


def test_what_is_held_is_free_again_after_it(tmp_path: Path) -> None:
    scratch, held = held_scratch(tmp_path / "folder")
    remove_abandoned(tmp_path)
    assert scratch.is_dir()
    release(held)
    remove_abandoned(tmp_path)
    assert not scratch.exists()
    with new_directory(tmp_path / "folder"), new_file(tmp_path / "file"):
        remove_abandoned(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
