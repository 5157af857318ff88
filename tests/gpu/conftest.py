"""The devices and model shapes of these tests.

Each test runs on the CPU with small widths, where it is compared with another way of computing on the CPU, and on CUDA
with the widths of the configs. Without CUDA the second half is skipped.
"""

from pathlib import Path
from typing import Any

import pytest
import torch

from kotrans.config.loading import load_config
from kotrans.config.schema import Config
from kotrans.storage import resources
from tests.tiny_training import tiny_config

_SMALL = ("embeddings.size=16", "encoder.hidden_size=12", "attention.size=16", "decoder.hidden_size=16")
_NO_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")


@pytest.fixture(scope="session", params=["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, _NO_CUDA])])
def device(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session", params=["base", "open-ko-en-large", "korean-english-news"])
def shape(request: pytest.FixtureRequest) -> str:
    """The config whose model is built."""
    return str(request.param)


@pytest.fixture(autouse=True)
def exact_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns off TF32, in which cuDNN computes float32 recurrences unless told not to."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def shaped_config(shape: str, device: str, text: Path, **sections: Any) -> Config:
    """Returns a config for this text and device whose model has the layers, and on CUDA the widths, of `shape`."""
    model = load_config(resources.configs() / f"{shape}.yaml", _SMALL if device == "cpu" else ())
    tiny = tiny_config(text, hardware={"device": device}, **sections)
    parts = ("embeddings", "encoder", "attention", "decoder")
    return tiny.model_copy(update={part: getattr(model, part) for part in parts})
