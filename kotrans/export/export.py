"""From a run to one folder or zip that needs nothing else."""

from dataclasses import dataclass
from pathlib import Path

import torch

from kotrans.export.card import Provenance, card
from kotrans.export.package import CARD, pack, write_model
from kotrans.model.kernels.quantization import Precision
from kotrans.runs.checkpoint import load_checkpoint
from kotrans.runs.run import now
from kotrans.storage.files import write_text
from kotrans.translation.model_loading import FoundModel


@dataclass(frozen=True)
class Exported:
    """What was written, and where."""

    path: Path
    sizes: dict[str, int]  # bytes of each file but the manifest


def export(found: FoundModel, out: Path, precision: Precision, *, zipped: bool = False, onnx: bool = False) -> Exported:
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
