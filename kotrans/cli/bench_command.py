"""`kotrans bench`."""

from typing import Annotated, Literal

import typer

from kotrans.cli.options import ConfigPath, Settings, find_config


def bench(
    config: ConfigPath = None,
    settings: Settings = None,
    data: Annotated[
        Literal["synthetic"] | None,
        typer.Option(
            metavar="synthetic",
            help="Use random pairs (default: the dataset of the config if it is prepared, else random pairs).",
        ),
    ] = None,
    against: Annotated[
        Literal["plain"] | None,
        typer.Option(
            metavar="plain",
            help="Also measure training on the plain path (without the fast kernels), alternating on the same batches.",
        ),
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Report where training time is spent, and what limits its speed.")
    ] = False,
    seconds: Annotated[
        float, typer.Option(min=1, metavar="N", help="Approximate duration in seconds (default: 60).")
    ] = 60,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Measure the speed of training and translation on this machine.

    Uses a new model with the given config. No run is written.
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
