"""`kotrans export`."""

from typing import Annotated, Literal

import typer

from kotrans.errors import UsageError
from kotrans.storage.paths import user_path


def export(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="[RUN] OUT",
            help="Run, RUN/CHECKPOINT or folder of one (default: most recently finished run); and the folder to write, "
            "or file if it ends in .zip.",
        ),
    ],
    precision: Annotated[
        Literal["fp32", "bf16", "int8"],
        typer.Option(
            metavar="fp32|bf16|int8",
            help="Precision of the stored matrices: bf16 takes half the space, int8 a quarter (default: fp32).",
        ),
    ] = "fp32",
    zipped: Annotated[bool, typer.Option("--zip", help="Write a zip, whatever the suffix of OUT.")] = False,
    onnx: Annotated[bool, typer.Option("--onnx", help="Also write ONNX graphs, checked with onnxruntime.")] = False,
) -> None:
    """Export a model as one self-contained folder or zip.

    `kotrans translate --model OUT` uses it, on any machine with kotrans.
    """
    if len(names) > 2:
        raise UsageError(f"export takes [RUN] OUT, but there are {len(names)} names; quote names with spaces")
    from kotrans.export.export import export
    from kotrans.translation.model_loading import find_model

    found = find_model(names[0] if len(names) == 2 else "")
    typer.echo(f"run {found.name}", err=True)
    exported = export(found, user_path(names[-1]), precision, zipped=zipped, onnx=onnx)
    for name, size in exported.sizes.items():
        typer.echo(f"{size:>13,}  {name}")
    typer.echo(f"{sum(exported.sizes.values()):>13,}  bytes in {exported.path}")
