"""The commands in one place, and the one boundary where errors become a line and an exit code."""

import errno
import sys
from io import TextIOWrapper

import typer

from kotrans.cli import (
    bench_command,
    compare_command,
    eval_command,
    export_command,
    list_commands,
    preparation_commands,
    score_command,
    serve_command,
    train_command,
    translate_command,
)
from kotrans.cli.options import with_korean
from kotrans.errors import KotransError, UsageError

# What the machine says no to, whatever was being written or read; anything else is a bug and keeps its traceback.
_NOT_OUR_FAULT = (
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO,
    errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EMFILE,
)  # fmt: skip

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
app.command()(train_command.train)
app.command()(translate_command.translate)
app.command()(serve_command.serve)
app.command(name="eval")(eval_command.evaluate)
app.command()(compare_command.compare)
app.command()(score_command.score)
app.command()(preparation_commands.fetch)
app.command()(preparation_commands.clean)
app.command()(preparation_commands.tokenize)
app.command()(preparation_commands.prepare)
app.command()(train_command.average)
app.command()(export_command.export)
app.command()(bench_command.bench)
app.command()(list_commands.runs)
app.command()(list_commands.curves)
app.command()(list_commands.corpora)
app.add_typer(list_commands.config, name="config")


def version(shown: bool) -> None:
    """Prints the version and leaves."""
    if shown:
        from kotrans.storage.resources import VERSION

        typer.echo(f"kotrans {VERSION}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(False, "--version", callback=version, is_eager=True, help="Show the version."),
) -> None:
    """Runs before every command."""


def main() -> None:
    """The console script: exit code 1 for a problem the user can fix, 2 for wrong usage, 130 for Ctrl-C."""
    _speak_utf8()
    try:
        app(prog_name=app.info.name)
    except UsageError as error:
        _fail(str(error), 2)
    except KotransError as error:
        _fail(str(error), 1)
    except OSError as error:
        if error.errno not in _NOT_OUR_FAULT:
            raise
        _fail(f"{error.filename or 'output'}: {error.strerror}; check the place, its permissions and its free space", 1)


def _speak_utf8() -> None:
    """Files and pipes are written in UTF-8 with "\\n" on every system.

    A terminal keeps an encoding that has Korean, such as cp949, and shows "?" for what that lacks.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            if stream.isatty():
                stream.reconfigure(encoding=with_korean(stream.encoding), errors="replace")
            else:
                stream.reconfigure(encoding="utf-8", errors="replace", newline="\n")


def _fail(message: str, code: int) -> None:
    typer.echo(f"error: {' '.join(message.split())}", err=True)
    raise SystemExit(code) from None
