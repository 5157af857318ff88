"""`kotrans eval`: what it scores, what it says, and what it writes into the run."""

import json
import shutil
from pathlib import Path

import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from kotrans.corpus.library import Library
from kotrans.corpus.registry import load_registry
from kotrans.files import read_lines, write_lines
from tests.tiny_run import Result, TinyRun, kotrans

REGISTRY = """
toy:
  title: Toy
  description: A test set.
  licence: none
  format: lines
  files:
    - {url: 'https://example.org/toy.ko', max_bytes: 100_000}
    - {url: 'https://example.org/toy.en', max_bytes: 100_000}
  splits: {test: {source: toy.ko, target: toy.en}}
"""


@pytest.fixture
def run(tiny_run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinyRun:
    """A copy of the shared run, because evaluation writes into it."""
    shutil.copytree(tiny_run.runs, tmp_path / "runs")
    shutil.rmtree(tmp_path / "runs" / "tiny" / "evaluation")
    monkeypatch.setenv("KOTRANS_RUNS", str(tmp_path / "runs"))
    return tiny_run._replace(runs=tmp_path / "runs")


def figures(run: TinyRun, name: str) -> dict[str, object]:
    folder = run.runs / "tiny" / "evaluation"
    values: dict[str, object] = json.loads((folder / f"{name}.json").read_text("utf-8"))
    return values


def assert_says(result: Result, scores: dict[str, float]) -> None:
    """The command printed these scores, each with a signature."""
    assert result.code == 0, result.err
    printed = {words[0]: words for line in result.lines if (words := line.split())}
    for name, score in scores.items():
        assert float(printed[name][1]) == pytest.approx(score, abs=0.006)
        assert "version:" in printed[name][2]


def direct(hypotheses: list[str], references: list[str]) -> dict[str, float]:
    metrics = {"BLEU": BLEU(), "chrF": CHRF(), "TER": TER()}
    return {name: metric.corpus_score(hypotheses, [references]).score for name, metric in metrics.items()}


@pytest.mark.parametrize("split", ["test", "dev"])
def test_a_split_of_the_run_is_translated_scored_and_written(split: str, run: TinyRun) -> None:
    result = kotrans("eval", "--split", split)
    hypotheses = read_lines(run.runs / "tiny" / "evaluation" / f"{split}.hypotheses.en")
    references = read_lines(run.folder / f"{split}.en")
    assert_says(result, direct(hypotheses, references))
    assert hypotheses == kotrans("translate", "--file", run.folder / f"{split}.ko").lines
    values = figures(run, split)
    assert values["bleu"] == pytest.approx(direct(hypotheses, references)["BLEU"])
    assert values["pairs"] == len(references) == 40
    assert values["checkpoints"] == [result.err.split("\n")[0].removeprefix("run ")]
    assert set(values["signatures"]) == {"bleu", "chrf", "ter"}  # type: ignore[call-overload]
    assert {"by_source_words", "unfinished", "empty", "search", "tokenizer", "kotrans", "date"} <= set(values)
    assert f"{split}: 40 sentences" in result.out
    assert "source words" in result.out


def test_training_ends_with_the_figures_of_the_test_split(tiny_run: TinyRun) -> None:
    assert "test: 40 sentences" in tiny_run.trained.out
    assert tiny_run.trained.out.count("\n    → ") == 5
    assert (tiny_run.runs / "tiny" / "evaluation" / "test.json").is_file()
    assert not (tiny_run.runs / "tiny" / "evaluation" / "dev.json").exists()


def test_files_of_ones_own_are_not_mistaken_for_a_split(run: TinyRun) -> None:
    result = kotrans("eval", "--source", run.folder / "test.ko", "--reference", run.folder / "test.en")
    assert result.code == 0, result.err
    assert "file.test: 40 sentences" in result.out
    assert [path.name for path in sorted((run.runs / "tiny" / "evaluation").iterdir())] == [
        "file.test.hypotheses.en", "file.test.json"
    ]  # fmt: skip


def test_another_checkpoint_and_an_ensemble_leave_the_run_s_own_figures_alone(run: TinyRun) -> None:
    kotrans("eval")
    own = figures(run, "test")
    assert kotrans("eval", "--run", "tiny/update-00000080").code == 0
    assert kotrans("eval", "--run", "tiny/update-00000080", "--run", "tiny/update-00000160").code == 0
    assert figures(run, "test") == own
    assert figures(run, "test.update-00000080")["checkpoints"] == ["tiny/update-00000080"]
    assert figures(run, "test.tiny-update-00000080+tiny-update-00000160")["pairs"] == 40


def test_a_listed_corpus_is_fetched_and_scored(run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "registry.yaml").write_text(REGISTRY)
    entries = load_registry(tmp_path / "registry.yaml")
    monkeypatch.setattr(
        "kotrans.cli.evaluating.find_library", lambda mirror: Library(tmp_path / "cache", mirror, registry=entries)
    )
    for side in ("ko", "en"):
        shutil.copy(run.folder / f"test.{side}", tmp_path / f"toy.{side}")
    mistaken = kotrans("eval", "--corpus", "toy", "--split", "dev", "--mirror", tmp_path)
    assert mistaken.code == 1
    assert "error: corpus 'toy': has no split 'dev', but test" in mistaken.err
    result = kotrans("eval", "--corpus", "toy", "--mirror", tmp_path)
    assert result.code == 0, result.err
    assert "toy.test: 40 sentences" in result.out
    assert figures(run, "toy.test")["pairs"] == 40


def test_any_hypotheses_are_scored_as_sacrebleu_scores_them(tmp_path: Path) -> None:
    references = ["The cat sits on the mat.", "", "It's  a dog, isn't it?", "I see the sea."]
    hypotheses = ["The cat sat on a mat.", "", "It is a dog , isn't it ?", ""]
    write_lines(tmp_path / "h.txt", hypotheses)
    write_lines(tmp_path / "r.txt", references)
    result = kotrans("eval", "--hypothesis", tmp_path / "h.txt", "--reference", tmp_path / "r.txt")
    assert_says(result, direct(hypotheses, references))
    same = kotrans("eval", "--hypothesis", tmp_path / "r.txt", "--reference", tmp_path / "r.txt")
    assert_says(same, {"BLEU": 100, "chrF": 100, "TER": 0})


def test_blank_sources_and_references_are_scored_too(run: TinyRun, tmp_path: Path) -> None:
    write_lines(tmp_path / "s.ko", ["저는 새 나무를 봅니다.", "", "나무"])
    write_lines(tmp_path / "r.en", ["I see the new tree.", "", ""])
    result = kotrans("eval", "--source", tmp_path / "s.ko", "--reference", tmp_path / "r.en")
    assert result.code == 0, result.err
    values = figures(run, "file.s")
    assert (values["pairs"], values["empty"]) == (3, 0)
    assert read_lines(run.runs / "tiny" / "evaluation" / "file.s.hypotheses.en")[1] == ""


def test_empty_files_are_refused(run: TinyRun, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    result = kotrans("eval", "--source", tmp_path / "empty", "--reference", tmp_path / "empty")
    assert result.code == 1
    assert "no lines" in result.err


def test_splits_joined_by_a_plus_are_scored_as_one(run: TinyRun) -> None:
    for split in ("test", "dev", "test+dev"):
        assert kotrans("eval", "--split", split).code == 0
    folder = run.runs / "tiny" / "evaluation"
    parts = [read_lines(folder / f"{split}.hypotheses.en") for split in ("test", "dev", "test+dev")]
    assert parts[2] == parts[0] + parts[1]
    assert figures(run, "test+dev")["pairs"] == len(parts[2])
