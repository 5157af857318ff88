"""Whether the run that is taken without a name is a poor choice."""

from kotrans.config.loading import read_yaml
from kotrans.errors import KotransError
from kotrans.runs.run import Run
from kotrans.runs.runs_folder import all_runs

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
