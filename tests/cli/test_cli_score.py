"""`kotrans score`, `--json` and word alignments, through the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_run import TinyRun, kotrans

KOREAN, OTHER = "저는 새 나무를 봅니다.", "친구는 오래된 집을 좋아합니다."


@pytest.fixture
def run(tiny_run: TinyRun, monkeypatch: pytest.MonkeyPatch) -> TinyRun:
    monkeypatch.setenv("KOTRANS_RUNS", str(tiny_run.runs))
    return tiny_run


def records(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_scoring_a_translation_gives_the_score_of_the_search(run: TinyRun, tmp_path: Path) -> None:
    found = records(kotrans("translate", "--json", "--n-best", "3", "--beam", "3", KOREAN, OTHER).out)
    pairs = [(line["source"], best["text"], best) for line in found for best in line["hypotheses"][:1]]
    for name, column in (("ko", 0), ("en", 1)):
        (tmp_path / name).write_text("".join(f"{pair[column]}\n" for pair in pairs), "utf-8")
    scored = records(kotrans("score", "--json", "--source", tmp_path / "ko", "--target", tmp_path / "en").out)
    compared = 0
    for (source, text, best), line in zip(pairs, scored, strict=True):
        (given,) = line["hypotheses"]
        assert (line["source"], given["text"]) == (source, text)
        if [piece["piece"] for piece in given["pieces"]] == [piece["piece"] for piece in best["pieces"]]:
            assert given["score"] == pytest.approx(best["score"], abs=1e-4)
            assert given["log_prob"] == pytest.approx(best["log_prob"], abs=1e-4)
            compared += 1
    assert compared > 0  # the text of a hypothesis can have another segmentation
    assert any(len(line["hypotheses"]) == 3 for line in found)


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
