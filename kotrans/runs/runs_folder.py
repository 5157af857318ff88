"""The folder of all runs: listing and finding runs, and naming new ones."""

import logging
import re
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import count

from kotrans.config.loading import read_yaml
from kotrans.errors import CheckpointError, KotransError, UsageError
from kotrans.runs.run import Run, name_taken
from kotrans.storage.paths import prepared_folder, runs_folder, user_path

logger = logging.getLogger(__name__)
_NAME = re.compile(r"\w[\w.-]{0,79}")  # letters of any script
_FAR_BETTER = 5.0  # BLEU; smaller differences may be chance or come from other dev sentences


def all_runs() -> Iterator[Run]:
    """Yields all runs, the most recently changed last; runs whose run.json cannot be read are logged and skipped."""
    found = []
    for path in runs_folder().glob("[!.]*/run.json"):
        run = Run(path.parent)
        try:
            found.append((run.record().changed, run.name, run))
        except CheckpointError as error:
            logger.warning("skipped: %s", error)
    yield from (run for _, _, run in sorted(found, key=lambda each: each[:2]))


def named_run(name: str) -> Run:
    """Returns the run with this name, which need not exist; the Unicode form of an existing folder does not matter."""
    return Run(user_path(runs_folder() / name))


def find_run(name: str | None, *, unfinished: bool = False, config: str | None = None) -> Run:
    """Returns the named run, or the most recently finished one (with `unfinished`, the last one to resume).

    config: name of the config that an unnamed run must have. Raises CheckpointError if there is no such run.
    """
    if name is not None:
        run = named_run(name)
        if not (run.folder / "run.json").is_file():
            known = ", ".join(run.name for run in all_runs()) or "none"
            raise CheckpointError(f"{run.folder}: there is no such run; existing runs: {known}{_did_you_mean(name)}")
        return run
    runs = [(run, run.record()) for run in all_runs()]
    if config is not None:
        runs = [(run, record) for run, record in runs if record.config == config]
    matching = [run for run, record in runs if (record.status == "finished") != unfinished]
    if unfinished:
        matching = [run for run in matching if not run.is_claimed()]
    if matching:
        return matching[-1]
    if unfinished:
        raise CheckpointError(f"{runs_folder()}: no unfinished run to resume; start one with `kotrans train`")
    hint = f"; {runs[-1][0].name} is unfinished: select it with --run, or finish it with --resume" if runs else ""
    raise CheckpointError(f"{runs_folder()}: no finished run yet; train one with `kotrans train`{hint}")


def _did_you_mean(name: str) -> str:
    near = get_close_matches(name, [run.name for run in all_runs()], n=1)
    return f"; did you mean {near[0]}?" if near else ""


def new_run(name: str | None, config: str) -> Run:
    """Returns a new run, claimed: of the given name, or of the config's name, numbered if that is taken.

    Raises UsageError if the given name is taken or is not a valid run name.
    """
    if name is None:
        names = (config if number == 1 else f"{config}-{number}" for number in count(1))
        return next(run for run in map(named_run, names) if _claim_new(run))
    if name == prepared_folder().name or not _NAME.fullmatch(name):
        raise UsageError(f"--run {name}: cannot be a run's name; use up to 80 letters, digits, -, _ and .")
    run = named_run(name)
    if not _claim_new(run):
        raise name_taken(run)
    return run


def _claim_new(run: Run) -> bool:
    """Claims a run unless its folder exists or another process is creating it."""
    if run.folder == prepared_folder() or run.folder.exists() or not run.claim():
        return False
    if run.folder.exists():  # created and released by another process meanwhile
        run.release()
        return False
    return True


def warning_of_better_run(run: Run) -> str | None:
    """Returns a warning if a finished run on the same corpora has a far higher dev BLEU, else None."""
    own = run.record()
    if own.best_bleu is None:
        return None
    better = [
        (record.best_bleu, other)
        for other in all_runs()
        if (record := other.record()).status == "finished"
        and record.best_bleu is not None
        and record.best_bleu > own.best_bleu + _FAR_BETTER
        and (record.dataset == own.dataset or _corpora(other) == _corpora(run))
    ]
    if not better:
        return None
    bleu, best = max(better, key=lambda each: each[0])
    return (
        f"{run.name} is the run that finished last, with a dev BLEU of {own.best_bleu:.2f}; "
        f"{best.name} has {bleu:.2f} on the same corpora: use it with --run {best.name}"
    )


def _corpora(run: Run) -> object:
    """Returns the corpora in the run's config; the run itself, which equals no other, if that cannot be read."""
    try:
        return read_yaml(run.folder / "config.yaml")["corpora"]
    except (KotransError, KeyError):
        return run
