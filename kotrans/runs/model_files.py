"""Trained models on disk, read without PyTorch: what translation needs of a checkpoint or of an exported model."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError
from safetensors import SafetensorError, deserialize

from kotrans.config.loading import check_config, parse_yaml
from kotrans.config.schema import Config
from kotrans.data.shortlist import Shortlist, read_shortlist
from kotrans.data.tokenizer import Tokenizer, TokenizerManifest
from kotrans.errors import CheckpointError, ConfigError, DataError
from kotrans.runs.progress import Progress
from kotrans.storage.files import content_key
from kotrans.storage.manifest import VerifiedFiles, damaged

TOKENIZER_KEY = "tokenizer"
"""Metadata of a weights file: the fingerprint of its tokenizer."""
SCALE = "/scale"
"""Suffix of the name of the scales of an int8 matrix; names of parameters contain no slash."""
Array = npt.NDArray[Any]
_DTYPES: dict[str, type[np.generic]] = {"F32": np.float32, "BF16": np.uint16, "I8": np.int8}


class ModelFiles(NamedTuple):
    """A trained model."""

    weights: dict[str, Array]
    """float32, with the exponential moving average (EMA) if there is one; not checked against the config."""
    tokenizer: Tokenizer
    config: Config
    progress: Progress
    files_hash: str
    """Hash of the list of its files and their hashes."""
    path: Path
    shortlist: Shortlist | None
    """Candidate pieces for `search.shortlist`; None if the model was trained without."""


def load_model_files(path: Path, config: Config | None = None) -> ModelFiles:
    """Reads a checkpoint or an exported model from its folder or a zip of it; verifies only the files needed.

    `config` is the config of the checkpoint if it was read before. Raises CheckpointError if a file is missing or
    damaged.
    """
    files = VerifiedFiles(path)
    config, tokenizer = config or read_config(files), read_tokenizer(files)
    name = inference_weights(files)
    data = files.read(name)
    _check_vocabulary(data, tokenizer, path, name)
    weights = parse_weights(data, path, name)
    return ModelFiles(
        weights, tokenizer, config, read_progress(files), content_key(files.files), path, read_shortlist(files)
    )


def read_config(files: VerifiedFiles) -> Config:
    """Reads a checkpoint's config. Raises CheckpointError if it is damaged or from an incompatible version."""
    where = files.path / "config.yaml"
    try:
        return check_config(parse_yaml(files.read("config.yaml"), where), str(where))
    except (ConfigError, DataError) as error:
        raise CheckpointError(f"{files.path}: made by another version of kotrans ({error})") from None


def read_tokenizer(files: VerifiedFiles) -> Tokenizer:
    """Raises CheckpointError if it is damaged."""
    try:
        manifest = TokenizerManifest.model_validate_json(files.read("tokenizer/manifest.json"))
        models = {name: files.read(f"tokenizer/{name}") for name in manifest.models}
        if odd := next(
            (name for name, data in models.items() if hashlib.sha256(data).hexdigest() != manifest.models[name]), None
        ):
            raise damaged(files.path, f"tokenizer/{odd}")
        return Tokenizer(models, manifest)
    except (ValidationError, KeyError, RuntimeError):  # sentencepiece raises RuntimeError if a file is not a model
        raise damaged(files.path, "tokenizer") from None


def inference_weights(files: VerifiedFiles) -> str:
    """Returns the file of the EMA if there is one, or else that of the trained weights."""
    return "average.safetensors" if "average.safetensors" in files.files else "model.safetensors"


def parse_weights(data: bytes, path: Path, name: str) -> dict[str, Array]:
    """Returns the weights of a safetensors file in float32. Raises DamagedError if it is not one."""
    try:
        return dequantize_weights(
            {
                key: np.frombuffer(tensor["data"], _DTYPES[tensor["dtype"]]).reshape(tensor["shape"])
                for key, tensor in deserialize(data)  # type: ignore[no-untyped-call]
            }
        )
    except (SafetensorError, ValueError, KeyError):
        raise damaged(path, name) from None


def dequantize_weights(stored: Mapping[str, Array]) -> dict[str, Array]:
    """Returns the weights in float32; uint16 stands for bfloat16, the upper half of a float32.

    Raises ValueError if an int8 matrix has no scale of the right shape.
    """
    weights: dict[str, Array] = {}
    for name, array in stored.items():
        if array.dtype == np.int8:
            scale = stored.get(name + SCALE)
            if scale is None or scale.shape != (len(array), 1):
                raise ValueError(f"{name}: no scale for each row")
            weights[name] = array * scale
        elif array.dtype == np.uint16:
            weights[name] = (array.astype(np.uint32) << 16).view(np.float32)
        elif not name.endswith(SCALE):
            weights[name] = array
    return weights


def _check_vocabulary(weights: bytes, tokenizer: Tokenizer, path: Path, name: str) -> None:
    """Raises CheckpointError if the weights belong to another tokenizer, which might have as many pieces."""
    try:
        length = int.from_bytes(weights[:8], "little")
        metadata = json.loads(weights[8 : 8 + length]).get("__metadata__", {})
        trained_with = metadata.get(TOKENIZER_KEY, tokenizer.fingerprint)  # missing in older checkpoints
    except (ValueError, AttributeError, RecursionError):
        raise damaged(path, name) from None
    if trained_with != tokenizer.fingerprint:
        raise CheckpointError(
            f"{path}: its weights were trained with another tokenizer ({trained_with}) than the one it contains "
            f"({tokenizer.fingerprint}); restore the original one, or copy the whole checkpoint again"
        )


def read_progress(files: VerifiedFiles) -> Progress:
    """Raises CheckpointError if it is damaged."""
    try:
        return Progress.parse(files.read("progress.json"))
    except (ValueError, TypeError):
        raise damaged(files.path, "progress.json") from None
