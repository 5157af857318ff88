"""`kotrans bench`."""

from enum import StrEnum
from typing import Annotated

import typer

from kotrans.cli.options import ConfigPath, Settings, find_config


class DataChoice(StrEnum):
    """What `--data` may ask for."""

    SYNTHETIC = "synthetic"


class ComparedWith(StrEnum):
    """What `--against` may ask for."""

    PLAIN = "plain"


def bench(
    config: ConfigPath = None,
    settings: Settings = None,
    data: Annotated[
        DataChoice | None,
        typer.Option(
            metavar="synthetic",
            help="Random pairs, even if the config's dataset is prepared; without one they are taken anyway.",
            show_default=False,
        ),
    ] = None,
    against: Annotated[
        ComparedWith | None,
        typer.Option(
            metavar="plain",
            help="Train by the plain path, too, on the same batches in turn.",
            show_default=False,
        ),
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Tell what training's time is spent in, and what bounds its speed.")
    ] = False,
    seconds: Annotated[float, typer.Option(min=1, metavar="N", help="About how long to measure.")] = 60,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure training and translation with a config on this machine.

    Nothing is kept: the model is new, and no run is written.
    """
    import json

    from kotrans.bench.benchmark import bench
    from kotrans.bench.report import benchmark_table, load_warning
    from kotrans.cli.display import StageDisplay

    found = bench(
        find_config(config, settings),
        StageDisplay(),
        seconds=seconds,
        synthetic=data is not None,
        against_plain=against is not None,
        profile=profile,
    )
    if warning := load_warning(found):
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(json.dumps(found.as_dict(), indent=2, ensure_ascii=False) if as_json else benchmark_table(found))
