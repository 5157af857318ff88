"""All commands, and the only place where errors become one line and an exit code."""

import errno
import sys
from collections.abc import Callable
from io import TextIOWrapper
from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperOption

from kotrans.cli import (
    bench_command,
    compare_command,
    eval_command,
    export_command,
    filter_command,
    list_commands,
    preparation_commands,
    score_command,
    serve_command,
    train_command,
    translate_command,
)
from kotrans.cli.options import with_korean
from kotrans.errors import KotransError, UsageError

# Errors of the system that are reported in one line; any other OSError is a bug and keeps its traceback.
_SYSTEM_ERRORS = (
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO,
    errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EMFILE,
)  # fmt: skip


class Command(TyperCommand):
    """A command whose help names arguments by their metavar, and defaults only in the descriptions.

    Typer would add Python types to arguments, and another form of defaults.
    """

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Returns the parts of the usage line after the name of the command."""
        return ["[OPTIONS]", *(each.metavar or "" for each in self.params if isinstance(each, TyperArgument))]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes the sections "Arguments" and "Options"."""
        brackets = str.maketrans("", "", "[].")
        arguments = [
            ((each.metavar or "").translate(brackets), each.help)
            for each in self.params
            if isinstance(each, TyperArgument)
        ]
        options = []
        for each in self.get_params(ctx):
            if isinstance(each, TyperOption):
                each.show_default = False
                options.append(each.get_help_record(ctx))
        for title, records in (("Arguments", arguments), ("Options", options)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


app = typer.Typer(
    name="kotrans",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help=(
        "Train, inspect and use your own Korean→English translation model.\n\n"
        "Pipeline: fetch → clean → tokenize → prepare → train → translate, eval. "
        "`kotrans train` runs all earlier stages that are missing."
    ),
)
_COMMANDS: dict[str, Callable[..., None]] = {
    "train": train_command.train,
    "translate": translate_command.translate,
    "serve": serve_command.serve,
    "eval": eval_command.evaluate,
    "compare": compare_command.compare,
    "score": score_command.score,
    "filter": filter_command.filter_pairs,
    "fetch": preparation_commands.fetch,
    "clean": preparation_commands.clean,
    "tokenize": preparation_commands.tokenize,
    "prepare": preparation_commands.prepare,
    "average": train_command.average,
    "export": export_command.export,
    "bench": bench_command.bench,
    "runs": list_commands.runs,
    "curves": list_commands.curves,
    "corpora": list_commands.corpora,
}
for command_name, function in _COMMANDS.items():
    app.command(command_name, cls=Command)(function)
app.add_typer(list_commands.config, name="config")


def version(shown: bool) -> None:
    """Prints the version and exits."""
    if shown:
        from kotrans.storage.resources import VERSION

        typer.echo(f"kotrans {VERSION}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(
        False, "--version", callback=version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    """Declares the options of `kotrans` itself."""


def main() -> None:
    """Runs the command line. Exit codes: 1 for an error that the user can fix, 2 for wrong usage, 130 for Ctrl-C."""
    _configure_streams()
    try:
        app(prog_name=app.info.name)
    except UsageError as error:
        _fail(str(error), 2)
    except KotransError as error:
        _fail(str(error), 1)
    except OSError as error:
        if error.errno not in _SYSTEM_ERRORS:
            raise
        _fail(f"{error.filename or 'output'}: {error.strerror}; check the path, its permissions and the free space", 1)


def _configure_streams() -> None:
    """Sets the encoding of standard output and error: UTF-8 with "\\n" for files and pipes on every system.

    A terminal keeps an encoding that can represent Korean, such as cp949, with "?" for other characters.
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
