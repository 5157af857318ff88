"""`kotrans curves`."""

from pathlib import Path
from typing import Annotated

import typer

from kotrans.cli.options import file_option, run_option


def curves(
    runs: Annotated[
        list[str] | None,
        run_option("RUN", "Which run, the most recently finished one if left out; may be given often."),
    ] = None,
    out: Annotated[Path, file_option("The picture, .png or .svg.", show_default="curves.png")] = Path("curves.png"),
    updates: Annotated[bool, typer.Option("--updates", help="Over updates, not over minutes of training.")] = False,
) -> None:
    """Draw how runs came on: dev BLEU and perplexity."""
    from kotrans.report.curves import draw_curves, read_curve
    from kotrans.runs.runs_folder import find_run

    names = list(dict.fromkeys(runs)) if runs else [None]
    draw_curves(out, [read_curve(find_run(name)) for name in names], "updates" if updates else "minutes")
    typer.echo(f"written to {out}", err=True)
