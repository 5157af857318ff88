"""Repeats the cheap figures of docs/results.md: trains, scores, and compares with docs/results.yaml.

Run as `make results-check`, or with the names of some runs: `python tests/check_results.py additive-1`. A run that is
there already, in runs/ or KOTRANS_RUNS, is scored as it is. Exits 1 if a figure is off by more than its tolerance.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs" / "results.yaml"
KOTRANS = (sys.executable, "-m", "kotrans")


@dataclass(frozen=True)
class Figure:
    """A measured figure and how far a repetition may be from it."""

    run: str
    split: str
    key: str
    """Of the JSON of `kotrans eval`: "bleu", or "by_source_words.11-15" for the BLEU of a group."""
    value: float
    tolerance: float


def figures(results: Mapping[str, Any]) -> list[Figure]:
    """All figures of docs/results.yaml, in its order."""
    return [
        Figure(run, split, key, value, results["tolerance"][run.rpartition("-")[0]])
        for run, entry in results["runs"].items()
        for split, values in entry["eval"].items()
        for key, value in values.items()
    ]


def figure_in(evaluation: Mapping[str, Any], key: str) -> float:
    """The figure that a key names. Raises KeyError if there is none."""
    name, _, label = key.partition(".")
    if not label:
        return float(evaluation[name])
    for bucket in evaluation[name]:
        if bucket["label"] == label:
            return float(bucket["bleu"])
    raise KeyError(key)


def check_figure(figure: Figure, now: float) -> bool:
    """Whether a repetition gives the figure within its tolerance."""
    return abs(now - figure.value) <= figure.tolerance


def evaluate(run: str, split: str) -> dict[str, Any]:
    """What `kotrans eval --json` prints of a run's split."""
    command = [*KOTRANS, "eval", "--run", run, "--split", split, "--json"]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=ROOT).stdout
    evaluation: dict[str, Any] = json.loads(printed)
    return evaluation


def trained() -> set[str]:
    """Names of the runs that have finished."""
    printed = subprocess.run([*KOTRANS, "runs"], check=True, capture_output=True, text=True, cwd=ROOT).stdout
    return {line.split()[0] for line in printed.splitlines()[1:] if line.strip()}


def check(results: Mapping[str, Any], names: Sequence[str]) -> int:
    """Trains what is missing, prints each figure beside the recorded one, and returns how many are off."""
    missing = set(names) - trained()
    evaluations: dict[tuple[str, str], dict[str, Any]] = {}
    off = 0
    for figure in figures(results):
        if figure.run not in names:
            continue
        if figure.run in missing:
            command = results["runs"][figure.run]["train"]
            subprocess.run([*KOTRANS, *command.split()[1:]], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
            missing.remove(figure.run)
        test_set = (figure.run, figure.split)
        if test_set not in evaluations:
            evaluations[test_set] = evaluate(*test_set)
        now = figure_in(evaluations[test_set], figure.key)
        holds = check_figure(figure, now)
        off += not holds
        verdict = "" if holds else f"  off by more than {figure.tolerance:g}"
        print(
            f"{figure.run:<16} {figure.split:<10} {figure.key:<24} {figure.value:6.2f} {now:6.2f}{verdict}", flush=True
        )
    return off


def main() -> None:
    """The command."""
    results = yaml.safe_load(RESULTS.read_text("utf-8"))
    names = sys.argv[1:] or list(results["runs"])
    if unknown := set(names) - set(results["runs"]):
        sys.exit(f"{RESULTS}: has no run {', '.join(sorted(unknown))}")
    print(f"{'run':<16} {'split':<10} {'figure':<24} {'then':>6} {'now':>6}")
    if off := check(results, names):
        sys.exit(f"{off} figures are off")


if __name__ == "__main__":
    main()
