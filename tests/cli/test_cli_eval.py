"""`kotrans eval`: scores, printed output, and files in the folder of the run."""

import json
import re
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from kotrans.data.corpora import Library
from kotrans.data.registry import load_registry
from kotrans.storage.files import read_lines, write_lines
from tests.tiny_run import Result, TinyRun, kotrans

pytestmark = pytest.mark.e2e

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


def figures(run: TinyRun, name: str) -> dict[str, Any]:
    folder = run.runs / "tiny" / "evaluation"
    values: dict[str, Any] = json.loads((folder / f"{name}.json").read_text("utf-8"))
    return values


def figures_of_other_text(run: TinyRun, name: str) -> dict[str, Any]:
    """Results on a text that is not a split of the run: the file name has a hash of the text."""
    (path,) = (run.runs / "tiny" / "evaluation").glob(f"{name}.{'?' * 12}.json")
    return figures(run, path.stem)


def assert_prints(result: Result, scores: dict[str, float]) -> None:
    """Asserts that the command printed these scores, each with a signature."""
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
    assert_prints(result, direct(hypotheses, references))
    assert hypotheses == kotrans("translate", "--file", run.folder / f"{split}.ko").lines
    values = figures(run, split)
    assert values["bleu"] == pytest.approx(direct(hypotheses, references)["BLEU"])
    assert values["pairs"] == len(references) == 40
    assert values["checkpoints"] == [result.err.split("\n")[0].removeprefix("run ")]
    assert set(values["signatures"]) == {"bleu", "chrf", "ter"}
    assert {"by_source_words", "by_rarest_word", "faults", "search", "tokenizer", "kotrans", "date"} <= set(values)
    assert all(each["copied"] in hypotheses[each["line"] - 1] for each in values["copies"])
    assert f"{split}: 40 sentences" in result.out
    assert "source words" in result.out


def test_training_ends_with_the_scores_of_the_test_split(tiny_run: TinyRun) -> None:
    assert "test: 40 sentences" in tiny_run.trained.out
    assert tiny_run.trained.out.count("\n    → ") == 5
    assert (tiny_run.runs / "tiny" / "evaluation" / "test.json").is_file()
    assert not (tiny_run.runs / "tiny" / "evaluation" / "dev.json").exists()


def test_results_of_files_have_names_different_from_those_of_splits(run: TinyRun) -> None:
    result = kotrans("eval", "--source", run.folder / "test.ko", "--reference", run.folder / "test.en")
    assert result.code == 0, result.err
    assert "file.test: 40 sentences" in result.out
    (run.runs / "other").mkdir()
    for side in ("ko", "en"):
        write_lines(run.runs / "other" / f"test.{side}", read_lines(run.folder / f"test.{side}")[:3])
    other = run.runs / "other"
    assert kotrans("eval", "--source", other / "test.ko", "--reference", other / "test.en").code == 0
    written = [path.name for path in (run.runs / "tiny" / "evaluation").iterdir()]
    assert len(written) == len({name for name in written if re.fullmatch(r"file\.test\.\w{12}\..*", name)}) == 4


def test_another_checkpoint_and_an_ensemble_keep_the_results_of_the_run(run: TinyRun) -> None:
    kotrans("eval")
    own = figures(run, "test")
    assert kotrans("eval", "--run", "tiny/update-00000080").code == 0
    assert kotrans("eval", "--run", "tiny/update-00000080", "--run", "tiny/update-00000160").code == 0
    assert figures(run, "test") == own
    assert figures(run, "test.update-00000080")["checkpoints"] == ["tiny/update-00000080"]
    assert figures(run, "test.tiny-update-00000080+tiny-update-00000160")["pairs"] == 40


@pytest.mark.parametrize(("setting", "label"), [("search.beam=2", "beam=2"), ("hardware.precision=bf16", "bf16")])
def test_other_settings_keep_the_results_of_the_run(
    setting: str, label: str, run: TinyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kotrans.engine.engine_loading.multiplies_bf16", lambda: True)
    kotrans("eval")
    own = figures(run, "test")
    assert kotrans("eval", "--set", setting).code == 0
    assert figures(run, "test") == own
    assert figures(run, f"test.{label}")["pairs"] == 40


def test_a_changed_test_split_is_reported_and_keeps_the_results_of_the_run(
    run: TinyRun, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kotrans("eval")
    own = figures(run, "test")
    assert caplog.text == ""
    config = run.runs / "tiny" / "config.yaml"
    text = shutil.copytree(run.folder, tmp_path / "text")
    write_lines(text / "test.ko", read_lines(text / "test.ko")[:-1])
    write_lines(text / "test.en", read_lines(text / "test.en")[:-1])
    config.write_text(config.read_text("utf-8").replace(str(run.folder), str(text)), "utf-8")
    result = kotrans("eval")
    assert result.code == 0
    assert "differs from the one this run was trained on" in caplog.text
    assert "test: 39 sentences" in result.out
    assert figures(run, "test") == own


def test_a_public_corpus_is_fetched_and_scored(run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "registry.yaml").write_text(REGISTRY)
    entries = load_registry(tmp_path / "registry.yaml")
    monkeypatch.setattr(
        "kotrans.cli.eval_command.find_library", lambda mirror: Library(tmp_path / "cache", mirror, registry=entries)
    )
    for side in ("ko", "en"):
        shutil.copy(run.folder / f"test.{side}", tmp_path / f"toy.{side}")
    mistaken = kotrans("eval", "--corpus", "toy", "--split", "dev", "--mirror", tmp_path)
    assert mistaken.code == 1
    assert "error: corpus 'toy': has no split 'dev', only test" in mistaken.err
    result = kotrans("eval", "--corpus", "toy", "--mirror", tmp_path)
    assert result.code == 0, result.err
    assert "toy.test: 40 sentences" in result.out
    assert figures(run, "toy.test")["pairs"] == 40


def test_hypotheses_get_the_scores_of_sacrebleu(tmp_path: Path) -> None:
    references = ["The cat sits on the mat.", "", "It's  a dog, isn't it?", "I see the sea."]
    hypotheses = ["The cat sat on a mat.", "", "It is a dog , isn't it ?", ""]
    write_lines(tmp_path / "h.txt", hypotheses)
    write_lines(tmp_path / "r.txt", references)
    result = kotrans("eval", "--hypothesis", tmp_path / "h.txt", "--reference", tmp_path / "r.txt")
    assert_prints(result, direct(hypotheses, references))
    same = kotrans("eval", "--hypothesis", tmp_path / "r.txt", "--reference", tmp_path / "r.txt")
    assert_prints(same, {"BLEU": 100, "chrF": 100, "TER": 0})


def test_blank_sources_and_references_are_scored_too(run: TinyRun, tmp_path: Path) -> None:
    write_lines(tmp_path / "s.ko", ["저는 새 나무를 봅니다.", "", "나무"])
    write_lines(tmp_path / "r.en", ["I see the new tree.", "", ""])
    result = kotrans("eval", "--source", tmp_path / "s.ko", "--reference", tmp_path / "r.en")
    assert result.code == 0, result.err
    values = figures_of_other_text(run, "file.s")
    assert (values["pairs"], values["faults"]["empty"]["count"]) == (3, 0)
    (hypotheses,) = (run.runs / "tiny" / "evaluation").glob("file.s.*.hypotheses.en")
    assert read_lines(hypotheses)[1] == ""


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


def test_scores_are_grouped_by_origin(run: TinyRun, tmp_path: Path) -> None:
    write_lines(tmp_path / "origin", ["first", "second"] * 20)
    result = kotrans("eval", "--origin", tmp_path / "origin")
    assert result.code == 0, result.err
    hypotheses = read_lines(run.runs / "tiny" / "evaluation" / "test.hypotheses.en")[1::2]
    bucket = figures(run, "test")["by_origin"][1]
    assert (bucket["label"], bucket["pairs"]) == ("second", 20)
    assert bucket["bleu"] == pytest.approx(direct(hypotheses, read_lines(run.folder / "test.en")[1::2])["BLEU"])
    assert f"second     20  {bucket['bleu']:.2f}" in result.out
    write_lines(tmp_path / "origin", ["first"])
    assert "has 1 lines but test has 40 pairs" in kotrans("eval", "--origin", tmp_path / "origin").err


def test_scores_are_grouped_by_corpus_if_the_config_has_several(run: TinyRun, tmp_path: Path) -> None:
    settings = (run.runs / "tiny" / "config.yaml").read_text("utf-8")
    begin, rest = settings.split("corpora:\n")
    corpus, end = rest.split("\ncleaning:")
    corpus += "\n"
    other = corpus.replace("name: own", "name: other").replace("dev.", "test.")
    (run.runs / "tiny" / "config.yaml").write_text(f"{begin}corpora:\n{corpus}{other}cleaning:{end}", "utf-8")
    result = kotrans("eval", "--split", "dev")
    assert result.code == 0, result.err
    assert [(each["label"], each["pairs"]) for each in figures_of_other_text(run, "dev")["by_origin"]] == [
        ("own", 40),
        ("other", 40),
    ]


def test_rare_words_are_counted_in_the_training_text_of_the_run(run: TinyRun, tmp_path: Path) -> None:
    write_lines(tmp_path / "s.ko", ["저는 새 나무를 봅니다.", "나무", "우유"])
    write_lines(tmp_path / "r.en", ["I see the new tree.", "the zebra", "1 2 3"])
    assert kotrans("eval", "--source", tmp_path / "s.ko", "--reference", tmp_path / "r.en").code == 0
    seen = [line.casefold() for line in read_lines(run.folder / "train.en")]
    rarest = min(sum(word in line for line in seen) for word in ("see", "new", "tree"))
    assert 19 < rarest < 100
    buckets = figures_of_other_text(run, "file.s")["by_rarest_word"]
    assert [(bucket["label"], bucket["pairs"]) for bucket in buckets] == [("0", 1), ("20-99", 1)]
    for path in (run.runs / "prepared").glob("dataset-*"):
        shutil.rmtree(path)
    assert kotrans("eval", "--source", tmp_path / "s.ko", "--reference", tmp_path / "r.en").code == 0
    assert figures_of_other_text(run, "file.s")["by_rarest_word"] == []


def test_the_worst_and_best_sentences_are_shown_and_written(run: TinyRun) -> None:
    result = kotrans("eval", "--sentences", "2")
    values = figures(run, "test")
    assert [len(values[which]) for which in ("worst", "best")] == [2, 2]
    assert values["worst"][0]["chrf"] <= values["worst"][1]["chrf"] <= values["best"][1]["chrf"]
    hypotheses = read_lines(run.runs / "tiny" / "evaluation" / "test.hypotheses.en")
    for each in values["worst"] + values["best"]:
        assert each["hypotheses"] == [hypotheses[each["line"] - 1]]
        assert f"line {each['line']}, chrF {each['chrf'][0]:.1f}\n    {each['source']}" in result.out


def test_faults_of_hypotheses_are_counted_if_sources_are_given(tmp_path: Path) -> None:
    texts = {"s": ["KDE 3판", "나무"], "h": ["GNOME 3", ""], "r": ["KDE 3", "a tree"]}
    for name, lines in texts.items():
        write_lines(tmp_path / name, lines)
    files = ("--hypothesis", tmp_path / "h", "--reference", tmp_path / "r")
    result = kotrans("eval", *files, "--source", tmp_path / "s", "--json")
    faults = json.loads(result.out)["faults"]
    assert faults["numbers"] == {"expected": 1, "found": 1, "recall": 1.0, "lost": []}
    assert faults["latin"]["lost"] == [{"line": 1, "tokens": ["KDE"]}]
    assert faults["empty"] == {"count": 1, "rate": 0.5, "lines": [2]}
    assert faults["unfinished"] is None
    assert json.loads(kotrans("eval", *files, "--json").out)["faults"] is None
    printed = kotrans("eval", *files, "--source", tmp_path / "s").out
    assert re.search(r"^Latin words kept +0\.00% of 1$", printed, re.MULTILINE)
    assert re.search(r"^placeholders, addresses, code kept +none expected$", printed, re.MULTILINE)
    assert "cut at the maximum length" not in printed


@pytest.fixture
def two_sentences(run: TinyRun) -> tuple[Path, Path]:
    """Lines of two sentences, whose translations differ if the sentences are translated separately."""
    paths = run.runs / "two.ko", run.runs / "two.en"
    for path in paths:
        lines = read_lines(run.folder / f"test{path.suffix}")
        write_lines(path, [f"{left} {right}" for left, right in pairwise(lines)])
    return paths


def test_eval_does_not_split_sentences_by_default_and_keeps_both_results(
    run: TinyRun, two_sentences: tuple[Path, Path]
) -> None:
    source, reference = two_sentences
    whole: list[str | Path] = ["eval", "--source", source, "--reference", reference]
    for arguments in (whole, [*whole, "--split-sentences"]):
        assert kotrans(*arguments).code == 0
    folder = run.runs / "tiny" / "evaluation"
    (split_file,) = folder.glob("*.split_sentences=True.hypotheses.en")
    (whole_file,) = set(folder.glob("*.hypotheses.en")) - {split_file}
    split_lines, whole_lines = read_lines(split_file), read_lines(whole_file)
    assert split_lines != whole_lines
    assert split_lines == kotrans("translate", "--file", source).lines
    assert whole_lines == kotrans("translate", "--file", source, "--no-split-sentences").lines
    assert figures(run, whole_file.name.removesuffix(".hypotheses.en"))["search"]["split_sentences"] is False


def test_results_with_and_without_split_sentences_have_different_names(run: TinyRun) -> None:
    config = run.runs / "tiny" / "config.yaml"
    before, _, search = config.read_text("utf-8").partition("\nsearch:")
    config.write_text(f"{before}\nsearch:{search.replace('split_sentences: null', 'split_sentences: true')}", "utf-8")
    assert kotrans("eval").code == 0
    assert figures(run, "test.split_sentences=True")["search"]["split_sentences"] is True
    assert kotrans("eval", "--no-split-sentences").code == 0
    assert figures(run, "test")["search"]["split_sentences"] is False
