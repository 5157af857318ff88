"""`kotrans filter`."""

from pathlib import Path

import pytest

from kotrans.storage.files import read_lines, write_lines
from tests.tiny_run import TinyRun, kotrans

pytestmark = pytest.mark.e2e


@pytest.fixture
def files(run: TinyRun, tmp_path: Path) -> list[str]:
    """Options for 20 test pairs, of which the last ten have the translations of others, and one with a blank side."""
    source, target = (read_lines(run.folder / f"test.{language}")[:20] for language in ("ko", "en"))
    write_lines(tmp_path / "x.ko", [*source, ""])
    write_lines(tmp_path / "x.en", [*target[:10], *target[11:], target[10], "Blank."])
    return ["--source", str(tmp_path / "x.ko"), "--target", str(tmp_path / "x.en")]


def test_pairs_that_reach_the_threshold_are_written_in_order(files: list[str], tmp_path: Path) -> None:
    scores = [line.split("\t")[0] for line in kotrans("score", *files).lines]
    ranked = sorted(float(score) for score in scores if score)
    threshold = (ranked[9] + ranked[10]) / 2
    result = kotrans("filter", *files, "--out", str(tmp_path / "kept"), "--threshold", str(threshold))
    chosen = [bool(score) and float(score) >= threshold for score in scores]
    assert 5 <= sum(chosen) <= 15
    for language in ("ko", "en"):
        lines = read_lines(tmp_path / f"x.{language}")
        assert read_lines(tmp_path / f"kept.{language}") == [
            line for line, kept in zip(lines, chosen, strict=True) if kept
        ]
    assert f"{sum(chosen)} of 21 pairs kept" in result.err


def test_without_a_threshold_the_scores_are_shown(files: list[str]) -> None:
    lines = kotrans("filter", *files).lines
    assert lines[0] == "20 pairs"
    values = [float(line.rsplit(" ", 1)[1]) for line in lines[1:]]
    assert values == sorted(values)
    assert len(values) == 9


@pytest.mark.parametrize("options", [["--threshold", "-1"], ["--out", "kept"]])
def test_a_threshold_needs_an_output_and_an_output_a_threshold(files: list[str], options: list[str]) -> None:
    result = kotrans("filter", *files, *options)
    assert result.code == 2
    assert "--threshold and --out belong together" in result.err


def test_existing_files_are_not_replaced(files: list[str], tmp_path: Path) -> None:
    write_lines(tmp_path / "kept.en", ["mine"])
    result = kotrans("filter", *files, "--out", str(tmp_path / "kept"), "--threshold", "-9")
    assert result.code == 2
    assert "kept.en exists already" in result.err
    assert read_lines(tmp_path / "kept.en") == ["mine"]
