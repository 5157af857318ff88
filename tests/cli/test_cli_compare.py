"""`kotrans compare`: two runs, two checkpoints, or two files."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from kotrans.evaluation.significance import paired_bootstrap
from kotrans.storage.files import read_lines, write_lines
from tests.tiny_run import TinyRun, kotrans

pytestmark = pytest.mark.e2e

EARLY = "tiny/update-00000080"


@pytest.fixture
def run(tiny_run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinyRun:
    """A copy of the shared run, because evaluation writes into it."""
    shutil.copytree(tiny_run.runs, tmp_path / "runs")
    monkeypatch.setenv("KOTRANS_RUNS", str(tmp_path / "runs"))
    return tiny_run._replace(runs=tmp_path / "runs")


def compared(*arguments: str | Path) -> dict[str, Any]:
    result = kotrans("compare", *arguments, "--json")
    assert result.code == 0, result.err
    values: dict[str, Any] = json.loads(result.out)
    return values


def test_two_checkpoints_are_compared_on_the_test_split(run: TinyRun) -> None:
    values = compared(EARLY, "tiny", "--sentences", "40")
    folder = run.runs / "tiny" / "evaluation"
    first = read_lines(folder / "test.update-00000080.hypotheses.en")
    second, references = read_lines(folder / "test.hypotheses.en"), read_lines(run.folder / "test.en")
    expected = paired_bootstrap(first, second, references)
    assert values["metrics"] == json.loads(json.dumps({each.metric.lower(): each.as_dict() for each in expected}))
    assert values["systems"][0] == EARLY
    assert (values["test_set"], values["pairs"]) == ("test", 40)
    worse, better = values["better"]
    assert {each["line"] for each in worse}.isdisjoint({each["line"] for each in better})
    for each in better:
        line = each["line"] - 1
        assert each["hypotheses"] == [first[line], second[line]]
        assert each["chrf"][0] < each["chrf"][1]
    gains = [each["chrf"][1] - each["chrf"][0] for each in better]
    assert gains == sorted(gains, reverse=True) != []


def test_translations_of_eval_are_reused_while_nothing_changed(run: TinyRun) -> None:
    kotrans("eval")
    first = compared(EARLY, "tiny")
    assert first["written_before"] == [False, True]
    second = compared(EARLY, "tiny")
    assert second["written_before"] == [True, True]
    assert second["metrics"] == first["metrics"]


def test_results_of_an_earlier_version_with_split_sentences_are_not_reused(run: TinyRun) -> None:
    kotrans("eval")
    path = run.runs / "tiny" / "evaluation" / "test.json"
    values = json.loads(path.read_text("utf-8"))
    del values["search"]["split_sentences"]
    path.write_text(json.dumps(values), "utf-8")
    assert compared(EARLY, "tiny")["written_before"] == [False, False]
    assert compared(EARLY, "tiny", "--split-sentences")["written_before"] == [False, False]
    assert compared(EARLY, "tiny", "--split-sentences")["written_before"] == [True, True]
    assert compared(EARLY, "tiny")["written_before"] == [True, True]


def test_translations_are_not_reused_after_a_change_of_search_text_or_file(run: TinyRun) -> None:
    ko, en = (shutil.copy(run.folder / f"test.{side}", run.runs / f"own.{side}") for side in ("ko", "en"))
    files = ("--source", ko, "--reference", en)
    before = compared("tiny", EARLY, *files)
    assert before["written_before"] == [False, False]
    assert compared("tiny", EARLY, *files)["written_before"] == [True, True]
    assert compared("tiny", EARLY, *files, "--set", "search.beam=2")["written_before"] == [False, False]
    assert compared("tiny", EARLY, *files)["written_before"] == [True, True]  # those of beam 2 are in other files
    write_lines(Path(ko), [*read_lines(Path(ko))[:-1], "나무"])
    assert compared("tiny", EARLY, *files)["written_before"] == [False, False]
    folder = run.runs / "tiny" / "evaluation"
    of_run = folder.glob(f"file.own.{'?' * 12}.hypotheses.en")  # not of a checkpoint or another search
    changed = max(of_run, key=lambda path: path.stat().st_mtime_ns)
    lines = read_lines(changed)
    write_lines(changed, [*lines[:-1], "changed by hand"])
    assert compared("tiny", EARLY, *files)["written_before"] == [False, True]
    assert read_lines(changed) == lines


def test_results_on_the_test_set_of_another_run_do_not_replace_a_run_s_own(run: TinyRun, tmp_path: Path) -> None:
    kotrans("eval")
    other = shutil.copytree(run.runs / "tiny", run.runs / "other")
    own = (other / "evaluation" / "test.json").read_bytes()
    text = shutil.copytree(run.folder, tmp_path / "text")
    for side in ("ko", "en"):
        write_lines(text / f"train.{side}", read_lines(text / f"train.{side}")[:-1])
        write_lines(text / f"test.{side}", read_lines(text / f"test.{side}")[1:])
    config = (run.runs / "tiny" / "config.yaml").read_text("utf-8").replace(str(run.folder), str(text))
    (tmp_path / "mine.yaml").write_text(config.replace("name: tiny", "name: mine"), "utf-8")
    assert kotrans("train", "-c", tmp_path / "mine.yaml", "--set", "training.max_updates=2").code == 0
    assert compared("mine", "other")["written_before"] == [True, False]
    assert (other / "evaluation" / "test.json").read_bytes() == own
    assert len(list((other / "evaluation").glob("test.*.json"))) == 1


def test_translations_of_a_checkpoint_that_is_no_longer_the_best_are_not_reused(run: TinyRun) -> None:
    assert compared("tiny", EARLY)["systems"][0] != EARLY
    record = json.loads((run.runs / "tiny" / "run.json").read_text("utf-8"))
    (run.runs / "tiny" / "run.json").write_text(json.dumps(record | {"best": EARLY.partition("/")[2]}), "utf-8")
    values = compared("tiny", EARLY)
    assert values["written_before"] == [False, True]
    assert [metric["p_value"] for metric in values["metrics"].values()] == [1.0] * 3
    assert values["better"] == [[], []]


def test_an_exported_model_scores_like_its_run(run: TinyRun, tmp_path: Path) -> None:
    assert kotrans("export", "tiny", tmp_path / "out.zip").code == 0
    values = compared("tiny", str(tmp_path / "out.zip"))
    assert values["systems"][1] == str(tmp_path / "out.zip")
    assert [metric["p_value"] for metric in values["metrics"].values()] == [1.0] * 3
    assert values["faults"][0] == values["faults"][1]


def test_files_of_any_systems_are_compared(tmp_path: Path) -> None:
    texts = {
        "a.en": ["The cat sat on 3 mats.", "a dog dog dog"],
        "b.en": ["The cat sits on 2 mats.", "A dog."],
        "r.en": ["The cat sits on 3 mats.", "A dog!"],
        "s.ko": ["고양이가 매트 3개에 앉아 있다.", "개"],
    }
    for name, lines in texts.items():
        write_lines(tmp_path / name, lines)
    files = ("--hypothesis", tmp_path / "a.en", "--hypothesis", tmp_path / "b.en", "--reference", tmp_path / "r.en")
    result = kotrans("compare", *files, "--source", tmp_path / "s.ko")
    assert result.code == 0, result.err
    expected = paired_bootstrap(texts["a.en"], texts["b.en"], texts["r.en"])
    printed = {line.split()[0]: line for line in result.lines if line.strip()}
    assert [f"{metric.difference:+.2f}" in printed["difference"] for metric in expected] == [True] * 3
    assert all(f"{metric.p_value:.4f}" in printed["p-value"] for metric in expected)
    assert all(metric.signature in result.out for metric in expected)
    assert printed["numbers"].split()[2:] == ["100.00%", "of", "1", "0.00%", "of", "1"]
    assert printed["loops"].split()[1:] == ["1", "(50.00%)", "0", "(0.00%)"]
    assert f"{tmp_path / 'b.en'} is better\nline 2, chrF" in result.out
    assert "faults" not in kotrans("compare", *files).out  # faults need the sources


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tiny"], "give two runs, or --hypothesis twice, not 1 runs"),
        (["a", "b", "c"], "give two runs, or --hypothesis twice, not 3 runs"),
        (["--hypothesis", "x", "--reference", "y"], "give --hypothesis twice, not 1 times"),
        (["--hypothesis", "x", "--hypothesis", "y"], "--hypothesis needs --reference"),
        (["tiny", "--hypothesis", "x", "--reference", "y"], "--hypothesis needs --reference"),
        (["tiny", EARLY, "--source", "x"], "give --source and --reference together"),
        (["tiny", EARLY, "--source", "x", "--reference", "y", "--split", "dev"], "give either files"),
    ],
)
def test_incompatible_options_are_refused(run: TinyRun, arguments: list[str], message: str) -> None:
    if "--reference" in arguments and "tiny" not in arguments:
        write_lines(run.runs / "y", ["a"])
        arguments = [str(run.runs / "y") if each == "y" else each for each in arguments]
    result = kotrans("compare", *arguments)
    assert result.code == 2
    assert f"error: {message}" in result.err


def test_a_file_with_too_few_lines_is_named(tmp_path: Path) -> None:
    for name, lines in (("a", ["x"]), ("b", ["x", "y"]), ("r", ["x", "y"])):
        write_lines(tmp_path / name, lines)
    files = [word for name in "ab" for word in ("--hypothesis", tmp_path / name)]
    result = kotrans("compare", *files, "--reference", tmp_path / "r")
    assert result.code == 1
    assert f"error: {tmp_path / 'a'}: has 1 lines but {tmp_path / 'r'} has 2" in result.err
