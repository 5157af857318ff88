"""Detection of lines that are unlike the training text."""

import math

import pytest

from kotrans.data.tokenizer import Familiarity, Tokenizer, TokenizerManifest
from kotrans.storage.files import read_lines
from tests.tiny_run import TinyRun

FOREIGN = [
    "배고파 죽겠다 ㅠㅠ",
    "이 함수는 Python 3.11에서 추가되었습니다.",
    "대통령이 기자회견을 열었다.",
    "The president held a press conference.",
    "漢字 ελληνικά",
    "🌳🌳🌳",
]


@pytest.fixture(scope="module")
def tokenizer(tiny_run: TinyRun) -> Tokenizer:
    (folder,) = (tiny_run.runs / "prepared").glob("tokenizer-*")
    return Tokenizer.load(folder)


def test_at_most_a_thousandth_of_the_training_text_is_unlike_it(tokenizer: Tokenizer, tiny_run: TinyRun) -> None:
    lines = read_lines(tiny_run.folder / "train.ko")
    assert sum(map(tokenizer.is_unfamiliar, lines)) <= math.ceil(len(lines) / 1000)


@pytest.mark.parametrize("split", ["dev", "test"])
def test_held_out_text_of_the_same_kind_is_familiar(split: str, tokenizer: Tokenizer, tiny_run: TinyRun) -> None:
    assert not any(map(tokenizer.is_unfamiliar, read_lines(tiny_run.folder / f"{split}.ko")))


@pytest.mark.parametrize("line", FOREIGN)
def test_text_of_unknown_words_is_unfamiliar(line: str, tokenizer: Tokenizer) -> None:
    assert tokenizer.is_unfamiliar(line)


@pytest.mark.parametrize("line", ["", "   ", "\u200b", "\x00"])
def test_a_blank_line_is_familiar(line: str, tokenizer: Tokenizer) -> None:
    assert not tokenizer.is_unfamiliar(line)


def test_an_older_tokenizer_reports_every_line_as_familiar(tokenizer: Tokenizer) -> None:
    values = tokenizer.manifest.model_dump(mode="json")
    assert TokenizerManifest.model_validate(values) == tokenizer.manifest
    del values["familiarity"]
    older = Tokenizer({"source.model": tokenizer.source.model, "target.model": tokenizer.target.model},
                      TokenizerManifest.model_validate(values))  # fmt: skip
    assert older.fingerprint == tokenizer.fingerprint
    assert not any(map(older.is_unfamiliar, FOREIGN))


def test_the_cost_is_that_of_a_unigram_model_per_character() -> None:
    found = Familiarity.measure(["ab a", "a"], [[4, 5, 4], [4]], 8)
    counts = {4: 3.5, 5: 1.5}
    total = 4 + 8 * 0.5
    expected = sum(-math.log(counts[i] / total) for i in (4, 5)) / 2
    assert found.cost("a b", [4, 5]) == pytest.approx(expected, abs=0.05)
    assert found.cost("", []) == 0
