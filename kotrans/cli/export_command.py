"""`kotrans export`."""

from enum import StrEnum
from typing import Annotated

import typer

from kotrans.errors import UsageError
from kotrans.storage.paths import user_path


class Stored(StrEnum):
    """How weights are stored."""

    FP32 = "fp32"
    BF16 = "bf16"
    INT8 = "int8"


def export(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="[RUN] OUT",
            help="A run, RUN/CHECKPOINT or a folder of one, the most recently finished run if left out; "
            "and what to write: a new folder, or a file if it ends in .zip.",
            show_default=False,
        ),
    ],
    precision: Annotated[
        Stored,
        typer.Option(
            metavar="fp32|bf16|int8", help="Of the stored matrices: bf16 halves them, int8 makes them a quarter."
        ),
    ] = Stored.FP32,
    zipped: Annotated[bool, typer.Option("--zip", help="Write a zip, whatever OUT is called.")] = False,
    onnx: Annotated[bool, typer.Option("--onnx", help="Write ONNX graphs, too, checked with onnxruntime.")] = False,
) -> None:
    """Write a model as one folder or zip that needs nothing else.

    `kotrans translate --model OUT` runs it, on any machine with kotrans.
    """
    if len(names) > 2:
        raise UsageError(f"export takes [RUN] OUT, but there are {len(names)} names; quote those with blanks")
    from kotrans.export.export import export
    from kotrans.translation.model_loading import find_model

    found = find_model(names[0] if len(names) == 2 else "")
    typer.echo(f"run {found.name}", err=True)
    exported = export(found, user_path(names[-1]), precision.value, zipped=zipped, onnx=onnx)
    for name, size in exported.sizes.items():
        typer.echo(f"{size:>13,}  {name}")
    typer.echo(f"{sum(exported.sizes.values()):>13,}  bytes in {exported.path}")
