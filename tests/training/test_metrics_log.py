"""metrics.jsonl: one line per update and validation, also after a resume or a crash."""

import json
from pathlib import Path

import pytest

from kotrans.runs.run import Run
from kotrans.training.events import DevFigures, Saved, Updated, Validated
from kotrans.training.metrics_log import MetricsFile
from tests.tiny_training import metrics, tiny_config, train_tiny

pytestmark = pytest.mark.e2e

UPDATED = Updated(3, 1, 2.5, 9.0, 100, 0.5, 0.001, 1.5, 0.25)
VALIDATED = Validated(3, DevFigures(8.0, 12.5, ()), True, 0, 1.0)


def test_a_run_writes_a_line_for_each_update_and_validation(runs: Path, text: Path) -> None:
    run = Run(runs / "run")
    train_tiny(tiny_config(text), run)
    lines = metrics(run)
    kinds = [(line["kind"], line["update"]) for line in lines]
    update, validation = "update", "validation"
    assert kinds == [
        (update, 1), (update, 2), (validation, 2), (update, 3), (update, 4), (validation, 4), (update, 5), (update, 6),
        (validation, 6),
    ]  # fmt: skip
    assert lines[2].keys() >= {"bleu", "perplexity", "samples", "is_best", "stale"}


def test_dev_figures_are_top_level_keys_of_a_line(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "metrics.jsonl")
    file.start_after(0)
    for event in (UPDATED, VALIDATED, Saved(3, tmp_path)):
        file(event)
    update, validation = map(json.loads, file.path.read_text("utf-8").splitlines())
    assert (update["kind"], update["loss"], update["target_tokens"]) == ("update", 2.5, 100)
    assert (validation["kind"], validation["bleu"], validation["perplexity"]) == ("validation", 12.5, 8.0)


@pytest.mark.parametrize("tail", ["", '{"kind": "upd', "\0\0\0\0", '{"kind": "update"}\n', "[3]\n", "\ufffd\n"])
def test_later_updates_and_incomplete_lines_are_removed(tail: str, tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines = [json.dumps({"kind": "update", "update": update}) + "\n" for update in range(1, 6)]
    path.write_text("".join(lines) + tail, encoding="utf-8")
    MetricsFile(path).start_after(3)
    assert path.read_text("utf-8") == "".join(lines[:3])


def test_a_validation_that_will_run_again_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines = [json.dumps({"kind": kind, "update": 3}) + "\n" for kind in ("update", "validation")]
    for validated, kept in ((True, lines), (False, lines[:1])):
        path.write_text("".join(lines), encoding="utf-8")
        MetricsFile(path).start_after(3, validated=validated)
        assert path.read_text("utf-8") == "".join(kept)


def test_a_line_cut_inside_a_character_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    whole = '{"update": 1, "said": "한"}\n'
    path.write_bytes((whole + whole).encode()[:-5])
    MetricsFile(path).start_after(3)
    assert path.read_text("utf-8") == whole


def test_a_complete_last_line_without_a_newline_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"update": 1}\n{"update": 2}', encoding="utf-8")
    MetricsFile(path).start_after(3)
    assert path.read_text("utf-8") == '{"update": 1}\n{"update": 2}\n'
