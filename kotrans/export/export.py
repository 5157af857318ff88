"""From a run to one folder or zip that needs nothing else.

A model as one folder, or one zip: weights, tokenizer, config and card, all sealed by a manifest.

It is a checkpoint for use only, so that whatever takes a checkpoint takes it, too.
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
from kotrans.model.kernels.quantization import Precision, reduced, restored
from kotrans.runs.checkpoint import Checkpoint, copy_weights, load_checkpoint, write_for_use
from kotrans.runs.run import now
from kotrans.storage.files import disk_errors, new_directory, new_file, write_text
from kotrans.storage.manifest import write_manifest
from kotrans.translation.model_loading import SavedModel

CARD = "README.md"
_UNHARMED = "nothing was exported"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # of every file in a zip: the card has the date

Write = Callable[[Path], None]
"""Writes files into a folder."""


def pack(out: Path, write: Write, *, zipped: bool) -> None:
    """What `write` writes, sealed, as a new folder or zip: all or nothing.

    Raises UsageError if `out` is there, CheckpointError if the disk is full.
    """
    if out.is_symlink() or out.is_file() or (out.is_dir() and (zipped or any(out.iterdir()))):
        raise _taken(out)
    with disk_errors(out, _UNHARMED):
        if not zipped:
            try:
                with new_directory(out) as scratch:
                    write(scratch)
                    write_manifest(scratch)
            except FileExistsError:
                raise _taken(out) from None
            return
        with new_file(out) as scratch, TemporaryDirectory(prefix=f".{out.name[:50]}-", dir=out.parent) as folder:
            write(Path(folder))
            write_manifest(Path(folder))
            _zip(Path(folder), scratch)


def write_model(folder: Path, checkpoint: Checkpoint, precision: Precision) -> Checkpoint:
    """Writes weights, config and tokenizer; gives back the model as it will be read from there."""
    weights = {name: parameter.detach() for name, parameter in checkpoint.model.named_parameters()}
    if odd := next((name for name, weight in weights.items() if not torch.isfinite(weight).all()), None):
        raise CheckpointError(f"{odd}: holds numbers that are not finite; export an earlier checkpoint")
    stored = reduced(weights, precision)
    exported = checkpoint._replace(config=_portable(checkpoint.config))
    write_for_use(folder, stored, exported)
    copy_weights(restored(stored), checkpoint.model, folder)
    return exported


def _portable(config: Config) -> Config:
    """Without what belongs to the machine it was trained on: its device, its threads, and where its files lay."""
    corpora = tuple(
        corpus.model_copy(update={"splits": {name: _names(files) for name, files in corpus.splits.items()}})
        for corpus in config.corpora
    )
    return config.model_copy(update={"hardware": HardwareConfig(), "corpora": corpora})


def _names(files: SplitConfig) -> SplitConfig:
    return SplitConfig(**{side: _without_folders(paths) for side, paths in files})


def _without_folders(paths: Path | tuple[Path, ...] | None) -> Path | tuple[Path, ...] | None:
    if isinstance(paths, tuple):
        return tuple(Path(path.name) for path in paths)
    return paths and Path(paths.name)


def _zip(folder: Path, out: Path) -> None:
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:  # weights do not shrink
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            member = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _EPOCH)
            member.external_attr = 0o644 << 16
            archive.writestr(member, path.read_bytes())


def _taken(out: Path) -> UsageError:
    return UsageError(f"{out}: exists already; take another name, or remove it first")


@dataclass(frozen=True)
class Exported:
    """What was written, and where."""

    path: Path
    sizes: dict[str, int]  # bytes of each file but the manifest


def export(found: SavedModel, out: Path, precision: Precision, *, zipped: bool = False, onnx: bool = False) -> Exported:
    """Writes the model as a new folder, or as a zip if `zipped` or if `out` ends in .zip; all or nothing.

    Raises UsageError if `out` is there or an optional package is missing, CheckpointError if the model is damaged.
    """
    checkpoint = load_checkpoint(found.path, torch.device("cpu"))
    provenance = Provenance(found.name, found.run.evaluation if found.run else None, now())
    sizes: dict[str, int] = {}

    def write(folder: Path) -> None:
        exported = write_model(folder, checkpoint, precision)
        if onnx:
            from kotrans.export.graphs import write_graphs

            write_graphs(folder, exported)
        sizes.update(_sizes(folder))
        write_text(folder / CARD, card(exported, provenance, precision, sizes))
        sizes.update(_sizes(folder))

    pack(out, write, zipped=zipped or out.suffix == ".zip")
    return Exported(out, sizes)


def _sizes(folder: Path) -> dict[str, int]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
