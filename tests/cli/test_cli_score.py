"""`kotrans score`, `--json` and word alignments, through the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from kotrans.storage.files import read_lines, write_lines
from tests.tiny_run import TinyRun, kotrans

pytestmark = pytest.mark.e2e

KOREAN, OTHER = "저는 새 나무를 봅니다.", "친구는 오래된 집을 좋아합니다."


@pytest.fixture
def run(tiny_run: TinyRun, monkeypatch: pytest.MonkeyPatch) -> TinyRun:
    monkeypatch.setenv("KOTRANS_RUNS", str(tiny_run.runs))
    return tiny_run


def records(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_score_gives_translations_of_translate_the_score_of_the_search(run: TinyRun, tmp_path: Path) -> None:
    sources = read_lines(run.folder / "test.ko")
    settings = ["--set", "search.copying=none"]
    options: list[str | Path] = ["--json", "--n-best", "3", "--beam", "3", *settings, "--file", run.folder / "test.ko"]
    found = records(kotrans("translate", *options).out)
    assert any(len(line["hypotheses"]) == 3 for line in found)
    pairs = [(line["source"], each) for line in found for each in line["hypotheses"]]
    assert len(pairs) > len(sources)
    write_lines(tmp_path / "ko", [source for source, _ in pairs])
    write_lines(tmp_path / "en", [each["text"] for _, each in pairs])
    files: list[str | Path] = ["--source", tmp_path / "ko", "--target", tmp_path / "en"]
    scored = records(kotrans("score", "--json", *settings, *files).out)
    compared = 0
    for (source, searched), line in zip(pairs, scored, strict=True):
        (given,) = line["hypotheses"]
        assert (line["source"], given["text"]) == (source, searched["text"])
        # The search can spell a text with other pieces than the tokenizer does.
        if [piece["piece"] for piece in given["pieces"]] == [piece["piece"] for piece in searched["pieces"]]:
            compared += 1
            assert given["score"] == pytest.approx(searched["score"], abs=1e-4)
            assert given["log_prob"] == pytest.approx(searched["log_prob"], abs=1e-4)
    assert compared > 0.8 * len(pairs)


def test_the_log_probabilities_of_pieces_add_up_to_that_of_the_hypothesis(run: TinyRun) -> None:
    (line,) = records(kotrans("translate", "--json", KOREAN).out)
    (best,) = line["hypotheses"]
    assert sum(piece["log_prob"] for piece in best["pieces"]) == pytest.approx(best["log_prob"], abs=1e-4)
    assert best["text"] == kotrans("translate", KOREAN).lines[0]


def test_each_pair_gives_one_line_and_a_blank_side_gives_a_blank_line(run: TinyRun, tmp_path: Path) -> None:
    score, log_prob, pieces = kotrans("score", KOREAN, "I see a new tree.").lines[0].split("\t")
    assert float(log_prob) < float(score) < 0
    assert int(pieces) > 1
    (tmp_path / "ko").write_text(f"{KOREAN}\n\n{OTHER}\n", "utf-8")
    (tmp_path / "en").write_text("I see a new tree.\nno source\n\n", "utf-8")
    lines = kotrans("score", "--source", tmp_path / "ko", "--target", tmp_path / "en").lines
    assert lines == [f"{score}\t{log_prob}\t{pieces}", "", ""]


def test_a_better_translation_has_a_better_score(run: TinyRun) -> None:
    good = kotrans("translate", KOREAN).lines[0]
    scores = [float(kotrans("score", KOREAN, text).lines[0].split("\t")[0]) for text in (good, "tree tree new see")]
    assert scores[0] > scores[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["하나"], "give one sentence and one translation, not 1 texts"),
        ([], "give either a sentence and its translation, or --source and --target"),
        (["가", "b\udcff"], "sentence 2: not UTF-8 text"),
        (["--source", "x"], "give either a sentence and its translation, or --source and --target"),
    ],
)
def test_an_incomplete_pair_is_refused(run: TinyRun, arguments: list[str], message: str) -> None:
    result = kotrans("score", *arguments)
    assert result.code == 2
    assert f"error: {message}" in result.err


def test_files_of_different_lengths_are_refused_with_the_line_number(run: TinyRun, tmp_path: Path) -> None:
    (tmp_path / "ko").write_text("가\n나\n", "utf-8")
    (tmp_path / "en").write_text("a\n", "utf-8")
    result = kotrans("score", "--source", tmp_path / "ko", "--target", tmp_path / "en")
    assert result.code == 2
    assert f"{tmp_path / 'en'}: ends before line 2" in result.err


def test_word_alignments_have_one_line_per_input_line(run: TinyRun, tmp_path: Path) -> None:
    path = tmp_path / "words.pharaoh"
    translated = kotrans("translate", "--attention", path, KOREAN, "", OTHER).lines
    lines = path.read_text("utf-8").split("\n")
    assert len(lines) == 4
    assert lines[1] == lines[3] == ""
    for source, target, line in zip((KOREAN, "", OTHER), translated, lines, strict=False):
        links = [tuple(map(int, link.split("-"))) for link in line.split()]
        assert [n for _, n in links] == list(range(len(target.split())))
        assert all(m < len(source.split()) for m, _ in links)
    assert kotrans("score", KOREAN, translated[0], "--attention", path).code == 0
    assert path.read_text("utf-8") == lines[0] + "\n"
