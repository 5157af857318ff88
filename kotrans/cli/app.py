"""The commands in one place, and the one boundary where errors become a line and an exit code."""

import os
import sys

import typer

from kotrans.cli import evaluating, listing, preparing, training, translating
from kotrans.errors import KotransError, UsageError

app = typer.Typer(
    name="kotrans",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help=(
        "Train, inspect and use your own Korean→English model.\n\n"
        "The chain: fetch → clean → tokenize → prepare → train → translate, eval. "
        "`kotrans train` runs whatever of it is missing."
    ),
)
app.command()(training.train)
app.command()(translating.translate)
app.command(name="eval")(evaluating.evaluate)
app.command()(preparing.fetch)
app.command()(preparing.clean)
app.command()(preparing.tokenize)
app.command()(preparing.prepare)
app.command()(training.average)
app.command()(listing.runs)
app.command()(listing.corpora)
app.add_typer(listing.config, name="config")


def version(shown: bool) -> None:
    """Prints the version and leaves."""
    if shown:
        from kotrans import __version__

        typer.echo(f"kotrans {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(False, "--version", callback=version, is_eager=True, help="Show the version."),
) -> None:
    """Runs before every command."""


def main() -> None:
    """The console script: exit code 1 for a problem the user can fix, 2 for wrong usage, 130 for Ctrl-C."""
    try:
        app()
    except UsageError as error:
        _fail(error, 2)
    except KotransError as error:
        _fail(error, 1)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        # Whoever read our output has closed it, as `head` does. Python would complain again while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None


def _fail(error: KotransError, code: int) -> None:
    typer.echo(f"error: {' '.join(str(error).split())}", err=True)
    raise SystemExit(code) from None
