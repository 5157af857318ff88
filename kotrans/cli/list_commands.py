"""`kotrans runs`, `curves`, `corpora`, `config show` and `config reference`."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from kotrans.cli.options import ConfigPath, Settings, file_option, find_config, run_option
from kotrans.errors import CheckpointError, ConfigError

config = typer.Typer(no_args_is_help=True, help="Show a config, or all settings.")


def runs() -> None:
    """List runs: status, updates, best dev BLEU, size and date."""
    from kotrans.report.text_table import runs_table
    from kotrans.runs.runs_folder import all_runs, find_run, warning_of_better_run
    from kotrans.storage.paths import runs_folder

    found = list(all_runs())
    typer.echo(runs_table(found) if found else f"{runs_folder()}: no runs yet; train one with `kotrans train`")
    with suppress(CheckpointError):  # no finished run
        if warning := warning_of_better_run(find_run(None)):
            typer.echo(f"warning: {warning}", err=True)


def corpora(
    find: Annotated[
        str | None,
        typer.Option(
            "--find", metavar="TEXT", help="Show only corpora with this text in their description, in detail."
        ),
    ] = None,
) -> None:
    """List public corpora: name, pairs, licence, whether fetched."""
    from kotrans.data.corpora import Library
    from kotrans.report.text_table import corpora_table, corpus_details

    listings = Library().listings(opus=True)
    if find is None:
        typer.echo(corpora_table(listings))
        return
    found = [listing for listing in listings if listing.entry.mentions(find)]
    if not found:
        raise ConfigError(f"--find {find}: no corpus mentions it; `kotrans corpora` lists all of them")
    typer.echo("\n\n".join(map(corpus_details, found)))


@config.command()
def show(config: ConfigPath = None, settings: Settings = None) -> None:
    """Print the resolved config with all defaults, as YAML."""
    from kotrans.config.loading import dump_config

    typer.echo(dump_config(find_config(config, settings)), nl=False)


@config.command()
def reference() -> None:
    """Print all settings with default and description, as Markdown."""
    from kotrans.config.reference import config_reference

    typer.echo(config_reference(), nl=False)


def curves(
    runs: Annotated[
        list[str] | None, run_option("RUN", "Run to plot (default: most recently finished); repeatable.")
    ] = None,
    out: Annotated[Path, file_option("Image to write, .png or .svg (default: curves.png).")] = Path("curves.png"),
    updates: Annotated[
        bool, typer.Option("--updates", help="Plot over updates instead of minutes of training.")
    ] = False,
) -> None:
    """Plot dev BLEU and perplexity of runs."""
    from kotrans.report.curves import draw_curves, read_curve
    from kotrans.runs.runs_folder import find_run

    names = list(dict.fromkeys(runs)) if runs else [None]
    draw_curves(out, [read_curve(find_run(name)) for name in names], "updates" if updates else "minutes")
    typer.echo(f"written to {out}", err=True)
