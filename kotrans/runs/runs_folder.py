"""The folder of all runs: which run is meant by a name, and new ones.

Whether the run that is taken without a name is a poor choice.
"""

import logging
import re
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import count

from kotrans.config.loading import read_yaml
from kotrans.errors import CheckpointError, KotransError, UsageError
from kotrans.runs.run import Run, taken
from kotrans.storage.paths import prepared_folder, runs_folder, user_path

logger = logging.getLogger(__name__)
_NAME = re.compile(r"\w[\w.-]{0,79}")  # letters of any script


def all_runs() -> Iterator[Run]:
    """Every run, the most recently changed last; one whose run.json cannot be read is logged and left out."""
    found = []
    for path in runs_folder().glob("[!.]*/run.json"):
        run = Run(path.parent)
        try:
            found.append((run.record().changed, run.name, run))
        except CheckpointError as error:
            logger.warning("left out: %s", error)
    yield from (run for _, _, run in sorted(found, key=lambda each: each[:2]))


def named_run(name: str) -> Run:
    """The run of that name, which need not be there; a folder whose name is the same in another Unicode form is it."""
    return Run(user_path(runs_folder() / name))


def find_run(name: str | None, *, unfinished: bool = False, config: str | None = None) -> Run:
    """The named run, or the most recently finished one (with `unfinished`, the most recently interrupted one).

    Raises CheckpointError if there is none.
    """
    if name is not None:
        run = named_run(name)
        if not (run.folder / "run.json").is_file():
            known = ", ".join(run.name for run in all_runs()) or "none yet"
            raise CheckpointError(f"{run.folder}: there is no such run; runs here: {known}{_nearest(name)}")
        return run
    runs = [(run, run.record()) for run in all_runs()]
    if config is not None:
        runs = [(run, record) for run, record in runs if record.config == config]
    fitting = [run for run, record in runs if (record.status == "finished") != unfinished]
    if unfinished:
        fitting = [run for run in fitting if not run.is_claimed()]
    if fitting:
        return fitting[-1]
    if unfinished:
        raise CheckpointError(f"{runs_folder()}: no unfinished run to resume; start one with `kotrans train`")
    hint = f"; {runs[-1][0].name} is unfinished: name it with --run, or finish it with --resume" if runs else ""
    raise CheckpointError(f"{runs_folder()}: no finished run yet; train one with `kotrans train`{hint}")


def _nearest(name: str) -> str:
    near = get_close_matches(name, [run.name for run in all_runs()], n=1)
    return f"; did you mean {near[0]}?" if near else ""


def new_run(name: str | None, config: str) -> Run:
    """A run that is not there yet, claimed: the name asked for, or the config's with a number if it is taken.

    Raises UsageError if the name asked for is taken or cannot be a folder's name.
    """
    if name is None:
        names = (config if number == 1 else f"{config}-{number}" for number in count(1))
        return next(run for run in map(named_run, names) if _claim_new(run))
    if name == prepared_folder().name or not _NAME.fullmatch(name):
        raise UsageError(f"--run {name}: cannot be a run's name; take up to 80 letters, digits, -, _ and .")
    run = named_run(name)
    if not _claim_new(run):
        raise taken(run)
    return run


def _claim_new(run: Run) -> bool:
    """Claims a run unless its folder is there or another process is about to make it."""
    if run.folder == prepared_folder() or run.folder.exists() or not run.claim():
        return False
    if run.folder.exists():  # made and let go since we looked
        run.release()
        return False
    return True


_FAR = 5.0  # BLEU; less may be another number of dev sentences, or chance


def warning_of_better_run(run: Run) -> str | None:
    """One line that names a finished run of the same corpora with a far higher dev BLEU; None if there is none."""
    own = run.record()
    if own.best_bleu is None:
        return None
    better = [
        (record.best_bleu, other)
        for other in all_runs()
        if (record := other.record()).status == "finished"
        and record.best_bleu is not None
        and record.best_bleu > own.best_bleu + _FAR
        and (record.dataset == own.dataset or _corpora(other) == _corpora(run))
    ]
    if not better:
        return None
    bleu, best = max(better, key=lambda each: each[0])
    return (
        f"{run.name} is the run that finished last, with a dev BLEU of {own.best_bleu:.2f}; "
        f"{best.name} has {bleu:.2f} on the same corpora: take it with --run {best.name}"
    )


def _corpora(run: Run) -> object:
    """What its config says of them; the run itself, which equals no other, if that cannot be read."""
    try:
        return read_yaml(run.folder / "config.yaml")["corpora"]
    except (KotransError, KeyError):
        return run
