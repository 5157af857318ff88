"""Exports a model as one folder or zip of weights, tokenizer, config and card, with a manifest.

The result is a checkpoint for use only (not for resuming): it can be loaded wherever a checkpoint can.
"""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from kotrans.config.schema import Config, HardwareConfig
from kotrans.config.sections import SplitConfig
from kotrans.errors import CheckpointError, UsageError
from kotrans.export.card import Provenance, card
from kotrans.export.quantization import Precision, as_read, quantize_weights
from kotrans.runs.checkpoint import Checkpoint, write_inference_files
from kotrans.runs.model_files import ModelFiles
from kotrans.runs.run import now
from kotrans.storage.files import disk_errors, new_directory, new_file, write_text
from kotrans.storage.manifest import write_manifest
from kotrans.translation.model_loading import SavedModel

_CARD = "README.md"
_DATE_IN_ZIP = (1980, 1, 1, 0, 0, 0)  # of every file; the card has the date of the export


@dataclass(frozen=True)
class Exported:
    """An exported model."""

    path: Path
    sizes: dict[str, int]
    """Bytes of each file except the manifest."""


def export(model: SavedModel, out: Path, precision: Precision, *, zipped: bool = False, onnx: bool = False) -> Exported:
    """Exports a model to a new folder, or to a zip if `zipped` or if `out` ends in .zip; all or nothing.

    onnx: adds ONNX graphs. Raises UsageError if `out` exists or an optional package is missing, CheckpointError if the
    model is damaged or the disk is full.
    """
    checkpoint = model.load(torch.device("cpu"))
    provenance = Provenance(model.name, model.run.evaluation if model.run else None, now())
    sizes: dict[str, int] = {}

    def write(folder: Path) -> None:
        exported = _write_model(folder, checkpoint, precision)
        if onnx:
            from kotrans.export.graphs import write_graphs

            write_graphs(folder, exported)
        sizes.update(_sizes(folder))
        write_text(folder / _CARD, card(exported, provenance, precision, sizes))
        sizes.update(_sizes(folder))
        write_manifest(folder)

    _pack(out, write, zipped=zipped or out.suffix == ".zip")
    return Exported(out, sizes)


def _write_model(folder: Path, checkpoint: Checkpoint, precision: Precision) -> ModelFiles:
    """Writes weights, config and tokenizer. Returns the model as it will be read from the folder."""
    weights = {name: parameter.detach() for name, parameter in checkpoint.model.named_parameters()}
    if odd := next((name for name, weight in weights.items() if not torch.isfinite(weight).all()), None):
        raise CheckpointError(f"{odd}: holds numbers that are not finite; export an earlier checkpoint")
    stored = quantize_weights(weights, precision)
    exported = checkpoint._replace(config=_portable(checkpoint.config))
    write_inference_files(folder, stored, exported)
    return ModelFiles(
        as_read(stored),
        exported.tokenizer,
        exported.config,
        exported.progress,
        exported.files_hash,
        folder,
        exported.shortlist,
    )


def _portable(config: Config) -> Config:
    """Removes what belongs to the training machine: device, threads, folders of corpora, and the glossary's path."""
    corpora = tuple(
        corpus.model_copy(update={"splits": {name: _without_folders(files) for name, files in corpus.splits.items()}})
        for corpus in config.corpora
    )
    search = config.search.model_copy(update={"glossary": None})
    return config.model_copy(update={"hardware": HardwareConfig(), "corpora": corpora, "search": search})


def _without_folders(files: SplitConfig) -> SplitConfig:
    def name(paths: Path | tuple[Path, ...] | None) -> Path | tuple[Path, ...] | None:
        if isinstance(paths, tuple):
            return tuple(Path(path.name) for path in paths)
        return paths and Path(paths.name)

    return SplitConfig(**{side: name(paths) for side, paths in files})


def _pack(out: Path, write: Callable[[Path], None], *, zipped: bool) -> None:
    """Creates a folder or zip of the files that `write` writes into a folder; all or nothing."""
    exists = UsageError(f"{out}: exists already; use another name, or remove it first")
    if out.is_symlink() or out.is_file() or (out.is_dir() and (zipped or any(out.iterdir()))):
        raise exists
    with disk_errors(out, "nothing was exported"):
        if zipped:
            with new_file(out) as scratch, TemporaryDirectory(prefix=f".{out.name[:50]}-", dir=out.parent) as folder:
                write(Path(folder))
                _zip(Path(folder), scratch)
            return
        try:
            with new_directory(out) as scratch:
                write(scratch)
        except FileExistsError:
            raise exists from None


def _zip(folder: Path, out: Path) -> None:
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:  # weights do not compress
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            member = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _DATE_IN_ZIP)
            member.external_attr = 0o644 << 16
            archive.writestr(member, path.read_bytes())


def _sizes(folder: Path) -> dict[str, int]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
