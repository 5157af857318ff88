"""Checkpoint averaging: the mean weights of several checkpoints of a run (Junczys-Dowmunt et al. 2016, section 4.1)."""

from contextlib import ExitStack
from dataclasses import replace

import torch

from kotrans.config.loading import dump_config
from kotrans.errors import UsageError
from kotrans.runs.checkpoint import load_checkpoint, open_weights, save_weights
from kotrans.runs.run import Run, now


def average_checkpoints(source: Run, target: Run, last: int | None = None) -> list[str]:
    """Writes the mean weights of the source's kept checkpoints, or of its `last` newest ones, as a new run.

    Returns the names of the averaged checkpoints. Raises UsageError if there are fewer than two, CheckpointError if one
    is damaged.
    """
    if last is not None and last < 2:
        raise UsageError(f"--last {last}: averaging needs at least two checkpoints")
    record = source.record()
    names = sorted(record.kept)[-last:] if last else sorted(record.kept)
    if len(names) < 2:
        raise UsageError(
            f"{source.folder}: has {len(names)} checkpoints; averaging needs at least two (see checkpoints.keep)"
        )
    latest = load_checkpoint(source.checkpoint(names[-1]), torch.device("cpu"))
    with ExitStack() as files:
        readers = [files.enter_context(open_weights(source.checkpoint(name))) for name in names]
        parameters = [name for name, _ in latest.model.named_parameters()]
        mean = {name: torch.stack([read(name) for read in readers]).mean(0) for name in parameters}
    record = replace(
        record, status="finished", started=now(), best_bleu=None, best_perplexity=None,
        last="average", best="average", kept=["average"],
    )  # fmt: skip
    with target.created(record, dump_config(latest.config)) as run:
        save_weights(run.checkpoints / "average", mean, latest)
    return names
