"""A run that was killed on a device and resumed there equals one that was not."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from kotrans.config.loading import dump_config
from kotrans.runs.run import Run
from kotrans.storage.files import write_text
from tests.gpu.conftest import shaped_config
from tests.tiny_training import assert_same_training, final_state, train_tiny

pytestmark = pytest.mark.e2e

# Arguments: a config and the folder of the run. Ends without cleaning up, as if killed, between two checkpoints.
TRAIN_UNTIL_KILLED = """
import os, sys
from pathlib import Path
from kotrans.config.loading import load_config
from kotrans.runs.run import Run
from kotrans.training.events import Updated
from tests.tiny_training import train_tiny

def die(event):
    if isinstance(event, Updated) and event.update == 9:
        os._exit(9)

train_tiny(load_config(Path(sys.argv[1])), Run(Path(sys.argv[2])), die)
"""


def distance(run: Run, other: Run) -> float:
    """Returns the norm of the difference of the last weights."""
    one, two = (load_file(each.checkpoint("last") / "model.safetensors") for each in (run, other))
    return float(torch.stack([(one[name] - two[name]).norm() for name in one]).norm())


def test_a_killed_run_resumes_bitwise_equal_or_as_close_as_a_repetition(
    shape: str, device: str, runs: Path, text: Path, tmp_path: Path
) -> None:
    """Also with dropout, and in bf16 where the device has it."""
    config = shaped_config(
        shape, device, text, dropout={"layers": 0.3, "source_word": 0.1},
        training={"max_updates": 14, "accumulate": 2, "ema": 0.9}, validation={"every": 6}, checkpoints={"every": 4},
    )  # fmt: skip
    straight, again, killed = (Run(runs / name) for name in ("straight", "again", "killed"))
    train_tiny(config, straight)
    train_tiny(config, again)
    write_text(tmp_path / "config.yaml", dump_config(config))
    program = [sys.executable, "-c", TRAIN_UNTIL_KILLED, str(tmp_path / "config.yaml"), str(killed.folder)]
    assert subprocess.run(program, cwd=Path(__file__).parents[2], check=False).returncode == 9
    assert killed.record().status == "training"
    train_tiny(config, killed, resume=True)
    bitwise = final_state(again) == final_state(straight)
    print("repeating and resuming:", "bitwise equal" if bitwise else f"apart by {distance(again, straight):.1e}")
    assert bitwise or device == "cuda"
    if bitwise:
        assert_same_training(killed, straight)
    else:
        assert distance(killed, straight) < 10 * distance(again, straight)
