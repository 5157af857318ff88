"""A full disk: one line of error, and the last good checkpoint can be resumed."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kotrans.config.loading import dump_config
from kotrans.errors import CheckpointError
from kotrans.runs.checkpoint import verify
from kotrans.runs.run import Run
from kotrans.storage.files import write_text
from kotrans.training.events import Event, Saved
from tests.tiny_run import kotrans
from tests.tiny_training import files_of_at_most, silent, tiny_config, train_tiny

pytestmark = pytest.mark.e2e

KILOBYTE = 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A separate file system of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("may not mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, left: int) -> Path:
    """Writes a file that leaves `left` bytes free."""
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(max(0, shutil.disk_usage(folder).free - left)))
    return ballast


def config_file(text: Path, tmp_path: Path) -> Path:
    write_text(tmp_path / "tiny.yaml", dump_config(tiny_config(text)))
    return tmp_path / "tiny.yaml"


@pytest.mark.parametrize("left", [0, 4 * KILOBYTE, 12 * KILOBYTE, 24 * KILOBYTE])
def test_stages_on_a_full_disk_fail_with_one_line_and_leave_no_partial_output(
    left: int, small_disk: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOTRANS_RUNS", str(small_disk / "runs"))
    (small_disk / "runs" / "prepared").mkdir(parents=True)
    ballast = fill(small_disk, left)
    result = kotrans("train", "-c", config_file(text, tmp_path))
    assert result.code == 1
    assert result.err.splitlines()[-1].startswith("error: ")
    assert "the disk is full" in result.err.splitlines()[-1] or "No space left" in result.err.splitlines()[-1]
    assert "Traceback" not in result.err
    assert not [path for path in (small_disk / "runs").rglob(".*-*") if path.suffix != ".lock"]
    ballast.unlink()
    assert kotrans("train", "-c", config_file(text, tmp_path)).code == 0


@pytest.mark.parametrize("left", [0, 8 * KILOBYTE, 60 * KILOBYTE])
def test_training_on_a_full_disk_names_a_checkpoint_that_resumes_exactly(
    left: int, small_disk: Path, runs: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight, config = Run(runs / "straight"), tiny_config(text)
    train_tiny(config, straight)
    run = Run(small_disk / "run")

    def fill_up(event: Event) -> None:
        if isinstance(event, Saved) and event.update == 2:
            fill(small_disk, left)

    with pytest.raises(CheckpointError) as error:
        train_tiny(config, run, fill_up)
    assert "the disk is full" in str(error.value)
    assert "\n" not in str(error.value)
    (small_disk / "ballast").unlink()
    last = run.checkpoint("last")
    verify(last)
    assert str(error.value).endswith((f"the last good checkpoint is {last}", f"saved as {last}"))
    train_tiny(config, run, silent, resume=True)
    assert [name for name in _weights(run) if _weights(run)[name] != _weights(straight)[name]] == []


def _weights(run: Run) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.checkpoint("last").glob("*.safetensors")}


def test_a_dataset_above_the_file_size_limit_fails_with_one_line(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOTRANS_RUNS", str(tmp_path / "runs"))
    config = config_file(text, tmp_path)
    assert kotrans("tokenize", "-c", config).code == 0
    with files_of_at_most(1000):
        result = kotrans("prepare", "-c", config)
    assert result.code == 1, result.err
    message = result.err.splitlines()[-1]
    assert message.startswith(f"error: {tmp_path / 'runs' / 'prepared'}/dataset-")
    assert message.endswith("cannot be written (File too large); free some space and run the same command again")
    assert kotrans("prepare", "-c", config).code == 0
