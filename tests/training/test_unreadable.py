"""Damaged and temporarily unreadable checkpoints are never deleted."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kotrans.errors import CheckpointError, DamagedError
from kotrans.runs.checkpoint import verify
from kotrans.runs.run import Run
from kotrans.training.resume import last_intact_checkpoint
from tests.tiny_training import assert_same_training, stop_at, tiny_config, train_tiny

pytestmark = pytest.mark.e2e


@pytest.fixture
def run(runs: Path, text: Path) -> Run:
    """A run stopped at update 5, with checkpoints of updates 2, 4 and 5."""
    run = Run(runs / "run")
    train_tiny(tiny_config(text), run, stop_at(5))
    return run


def content(folder: Path) -> dict[str, bytes | str]:
    """Returns the content of every file and link in it."""
    return {
        path.relative_to(folder).as_posix(): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def make_unreadable(path: Path) -> None:
    """Replaces the file by a circular link, which even root cannot open (ELOOP)."""
    path.rename(path.with_name("kept"))
    path.symlink_to(path.name)


def make_readable(path: Path) -> None:
    path.unlink()
    path.with_name("kept").rename(path)


@pytest.mark.parametrize("name", ["optimizer.safetensors", "manifest.json", "tokenizer/source.model"])
def test_an_unreadable_file_stops_resuming_and_changes_nothing(run: Run, text: Path, name: str) -> None:
    path = run.checkpoint("last") / name
    make_unreadable(path)
    before = content(run.folder)
    with pytest.raises(CheckpointError) as error:
        train_tiny(tiny_config(text), run, resume=True)
    assert not isinstance(error.value, DamagedError)
    assert str(error.value).startswith(f"{path}: cannot be read now (Too many levels of symbolic links); nothing was")
    assert "\n" not in str(error.value)
    assert content(run.folder) == before
    make_readable(path)
    straight = Run(run.folder.parent / "straight")
    train_tiny(tiny_config(text), run, resume=True)
    train_tiny(tiny_config(text), straight)
    assert_same_training(run, straight)


def test_a_checkpoint_of_another_version_is_not_damage(run: Run) -> None:
    manifest = run.checkpoint("last") / "manifest.json"
    manifest.write_text(manifest.read_text("utf-8").replace('"format": 1', '"format": 2'), encoding="utf-8")
    before = content(run.folder)
    with pytest.raises(CheckpointError, match="made by another version of kotrans"):
        last_intact_checkpoint(run)
    assert content(run.folder) == before


def test_damaged_checkpoints_are_renamed_kept_and_listed(run: Run, text: Path) -> None:
    last = run.checkpoint("last")
    path = last / "optimizer.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    before = content(last)
    for number, expected in ((1, "update-00000005.damaged"), (2, "update-00000005.damaged-2")):
        assert last_intact_checkpoint(run) == "update-00000004"
        assert content(run.checkpoints / expected) == before
        record = run.record()
        assert (record.last, record.kept) == ("update-00000004", ["update-00000002", "update-00000004"])
        assert expected in record.damaged
        assert len(record.damaged) == number
        with pytest.raises(CheckpointError, match=f"has no checkpoint update-00000009; available: .*{expected}"):
            run.checkpoint("update-00000009")
        train_tiny(tiny_config(text), run, stop_at(5), resume=True)
        if number == 1:
            shutil.rmtree(last)
            shutil.copytree(run.checkpoints / expected, last)  # damaged again
    train_tiny(tiny_config(text, training={"max_updates": 9}), run, resume=True)
    assert content(run.checkpoints / "update-00000005.damaged") == before
    assert run.record().damaged == ["update-00000005.damaged", "update-00000005.damaged-2"]


def test_a_missing_checkpoint_is_skipped(run: Run) -> None:
    shutil.rmtree(run.checkpoint("last"))
    assert last_intact_checkpoint(run) == "update-00000004"
    assert run.record().damaged == []


def test_other_folders_among_the_checkpoints_are_kept(run: Run, text: Path) -> None:
    own = shutil.copytree(run.checkpoint("last"), run.checkpoints / "update-00000005-of-monday")
    train_tiny(tiny_config(text), run, resume=True)
    verify(own)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Drops root's privileges inside the block, so that permissions apply."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.fixture
def others_run(run: Run) -> Iterator[Run]:
    """The run in a folder that the user nobody may write to."""
    import tempfile

    folder = Path(tempfile.mkdtemp())
    moved = Run(Path(shutil.move(run.folder, folder / "run")))
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, 65534, 65534)
    yield moved
    for path in moved.checkpoints.iterdir():
        path.chmod(0o700)
    shutil.rmtree(folder)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs permissions as POSIX has them")
def test_a_checkpoint_without_permission_is_reported_and_changes_nothing(others_run: Run) -> None:
    last, record = others_run.checkpoint("last"), others_run.record()
    last.chmod(0)
    with as_nobody(), pytest.raises(CheckpointError, match=r"update-00000005/manifest.json: cannot be read now \(Perm"):
        last_intact_checkpoint(others_run)
    assert others_run.record() == record
    last.chmod(0o700)
    verify(last)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs permissions as POSIX has them")
def test_a_leftover_that_cannot_be_removed_is_renamed(others_run: Run) -> None:
    left = others_run.checkpoints / "update-00000006"
    shutil.copytree(others_run.checkpoint("last"), left)
    if os.geteuid() == 0:
        os.chown(left, 65534, 65534)
    left.chmod(0)
    with as_nobody():
        assert last_intact_checkpoint(others_run) == "update-00000005"
        assert not left.exists()
