"""Learning curves from the metrics that training writes."""

import json
from pathlib import Path

import pytest
from matplotlib.image import imread

from kotrans.errors import CheckpointError, UsageError
from kotrans.report.curves import Curve, Point, _figure, draw_curves, read_curve
from kotrans.runs.run import Run
from kotrans.storage.files import stream_lines
from tests.tiny_run import TinyRun, kotrans


def points_of(*bleu: float) -> tuple[Point, ...]:
    return tuple(Point(100 * n, 2.5 * n, each, 500 / n) for n, each in enumerate(bleu, start=1))


def test_a_curve_has_each_validation_at_the_minutes_of_the_updates_before_it(tiny_run: TinyRun) -> None:
    run = Run(tiny_run.runs / "tiny")
    lines = [json.loads(line) for line in stream_lines(run.metrics)]
    validations = [line for line in lines if line["kind"] == "validation"]
    curve = read_curve(run)
    assert curve.name == "tiny"
    assert [(point.updates, point.bleu, point.perplexity) for point in curve.points] == [
        (line["update"], line["bleu"], line["perplexity"]) for line in validations
    ]
    for point in curve.points:
        seconds = [line["seconds"] for line in lines if line["kind"] == "update" and line["update"] <= point.updates]
        assert point.minutes == pytest.approx(sum(seconds) / 60)


def test_only_a_line_end_ends_a_line_of_metrics(tmp_path: Path) -> None:
    sample = {"source": "가\u2028나\x85", "hypothesis": "a", "reference": "b"}
    validation = {"kind": "validation", "update": 1, "bleu": 1.0, "perplexity": 2.0, "samples": [sample]}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(validation, ensure_ascii=False) + "\n", "utf-8")
    assert read_curve(Run(tmp_path)).points == (Point(1, 0, 1.0, 2.0),)


@pytest.mark.parametrize("damage", [lambda text: text[: len(text) // 2], lambda text: "[]\n" + text, None])
def test_damaged_or_missing_metrics_raise_checkpoint_error(damage: object, tiny_run: TinyRun, tmp_path: Path) -> None:
    if callable(damage):
        text = (tiny_run.runs / "tiny" / "metrics.jsonl").read_text("utf-8")
        (tmp_path / "metrics.jsonl").write_text(damage(text), "utf-8")
    with pytest.raises(CheckpointError, match=r"metrics.jsonl: missing or damaged"):
        read_curve(Run(tmp_path))


def test_a_run_without_a_validation_raises_usage_error(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"kind": "update", "update": 1, "seconds": 1.0}\n', "utf-8")
    with pytest.raises(UsageError, match="has no validation yet"):
        read_curve(Run(tmp_path))


@pytest.mark.slow
def test_the_same_curves_give_the_same_bytes_and_other_points_names_or_axes_do_not(tmp_path: Path) -> None:
    one = [Curve("하나", points_of(1, 2, 3)), Curve("b", points_of(1, 1, 2))]
    draw_curves(tmp_path / "one.png", one)
    draw_curves(tmp_path / "again.png", one)
    draw_curves(tmp_path / "updates.png", one, "updates")
    draw_curves(tmp_path / "named.png", [Curve("둘", one[0].points), one[1]])
    draw_curves(tmp_path / "other.png", [Curve("하나", points_of(1, 2, 4)), one[1]])
    pictures = {path.stem: path.read_bytes() for path in tmp_path.iterdir()}
    assert pictures["one"] == pictures["again"]
    assert len(set(pictures.values())) == 4
    height, width = imread(tmp_path / "one.png").shape[:2]
    assert 400 < height < width < 1600


def test_the_perplexity_axis_has_plain_numbers() -> None:
    figure = _figure([Curve("one", points_of(1, 2, 3, 4, 5))], "updates")  # from 500 down to 100
    figure.draw_without_rendering()
    labels = [label.get_text() for label in figure.axes[1].get_yticklabels()]
    assert {"100", "200", "500"} <= set(labels)
    assert not any("$" in label for label in labels)


def test_the_curves_command_draws_runs_and_reports_bad_arguments(tiny_run: TinyRun, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KOTRANS_RUNS", str(tiny_run.runs))
        drawn = kotrans("curves", "--run", "tiny", "--updates", "--out", tmp_path / "curves.svg")
        assert (drawn.code, drawn.err) == (0, f"written to {tmp_path / 'curves.svg'}\n")
        assert (tmp_path / "curves.svg").read_text("utf-8").startswith("<?xml")
        refused = kotrans("curves", "--out", tmp_path / "curves.pdf")
        assert refused.code == 2
        assert "a picture is written as .png or .svg" in refused.err
        assert "there is no such run" in kotrans("curves", "--run", "none").err
