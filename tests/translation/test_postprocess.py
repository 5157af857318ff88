"""Ranking of hypotheses, copying into them, and joining of parts."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kotrans.config.schema import SearchConfig
from kotrans.config.sections import TokenizerConfig
from kotrans.data.tokenizer import Tokenizer
from kotrans.search.hypotheses import Hypothesis
from kotrans.translation.copies import words_copied
from kotrans.translation.postprocess import LinePart, Postprocessor, PreparedLine
from tests.small_corpus import small_tokenizer

SOURCE = "학교 Python 3.11 학교 7"
OUTPUT = {"nothing": -1.0, "Python only": -1.5, "Python 3.11 and 7": -2.2, "Python 3.11": -2.4}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return small_tokenizer(Path(tmp_path_factory.mktemp("assembly")), TokenizerConfig(vocabulary_size=330))


def assembled(
    tokenizer: Tokenizer, output: dict[str, float], penalty: float, n_best: int = 1, cut: str = "", parts: int = 1
) -> list[str]:
    """Returns translations of SOURCE, `parts` times, from hypotheses with scores. cut: the unfinished one."""
    texts = tokenizer.target.encode(list(output))
    found = [
        Hypothesis(tuple(ids), score, score, (), None, text != cut)
        for ids, (text, score) in zip(texts, output.items(), strict=True)
    ]
    (ids,) = tokenizer.source.encode([SOURCE])
    prepared = PreparedLine(SOURCE, [LinePart(ids, " ")] * parts, cut=False)
    assembler = Postprocessor(tokenizer, SearchConfig(verbatim_penalty=penalty))
    return [each.text for each in assembler.assemble(prepared, [found] * parts, n_best).hypotheses]


def test_each_lost_number_or_latin_word_costs_the_penalty(tokenizer: Tokenizer) -> None:
    assert assembled(tokenizer, OUTPUT, 0.0, 4) == list(OUTPUT)
    assert assembled(tokenizer, OUTPUT, 0.3, 4) == ["nothing", "Python only", "Python 3.11 and 7", "Python 3.11"]
    assert assembled(tokenizer, OUTPUT, 0.6, 4) == ["Python 3.11 and 7", "Python only", "nothing", "Python 3.11"]
    assert assembled(tokenizer, OUTPUT, 9.0, 4) == ["Python 3.11 and 7", "Python 3.11", "Python only", "nothing"]
    assert assembled(tokenizer, OUTPUT, 9.0) == ["Python 3.11 and 7"]


def test_a_translation_that_was_cut_ranks_below_every_finished_one(tokenizer: Tokenizer) -> None:
    output = {"nothing": -1.0, "7 3.11 Python": -0.5}
    assert assembled(tokenizer, output, 9.0, 2, cut="7 3.11 Python") == list(output)


def test_every_part_of_a_line_is_ranked_separately(tokenizer: Tokenizer) -> None:
    assert assembled(tokenizer, OUTPUT, 9.0, parts=2) == ["Python 3.11 and 7 Python 3.11 and 7"]


def test_the_whole_beam_is_needed_only_for_a_penalty_and_a_source_with_a_literal(tokenizer: Tokenizer) -> None:
    with_literals, without = (LinePart(ids, "") for ids in tokenizer.source.encode([SOURCE, "학교에 갔다."]))
    for penalty, part, expected in ((1, with_literals, 5), (1, without, 2), (0, with_literals, 2)):
        assembler = Postprocessor(tokenizer, SearchConfig(verbatim_penalty=penalty))
        assert assembler.hypotheses_needed(part, n_best=2, beam=5) == expected


def test_hypotheses_are_sorted_by_one_rule_even_if_the_first_lacks_nothing(tokenizer: Tokenizer) -> None:
    output = {"7 3.11 Python": -1.0, "nothing": -1.1, "Python 3.11 and 7": -2.0}
    assert assembled(tokenizer, output, 9.0, 3) == ["7 3.11 Python", "Python 3.11 and 7", "nothing"]


def test_a_correct_hypothesis_ranks_above_one_that_copying_corrects(tokenizer: Tokenizer) -> None:
    output = {"Pyhton 3.11 7": -1.0, "Python 3.11 7 right": -1.2}
    (source,) = tokenizer.source.encode([SOURCE])
    found = []
    for ids, score in zip(tokenizer.target.encode(list(output)), output.values(), strict=True):
        weights = np.full((len(ids) + 1, len(source) + 1), 1 / (len(source) + 1), np.float32)
        found.append(Hypothesis(tuple(ids), score, score, (0.0,) * (len(ids) + 1), weights, True))
    for penalty, expected in ((1.0, "Python 3.11 7 right"), (0.0, "Python 3.11 7")):
        assembler = Postprocessor(tokenizer, SearchConfig(verbatim_penalty=penalty))
        prepared = PreparedLine(SOURCE, [LinePart(source, "")], cut=False)
        assert assembler.assemble(prepared, [found], 1).text == expected


def test_numbers_are_ranked_by_value(tokenizer: Tokenizer) -> None:
    (source,) = tokenizer.source.encode(["9월에 3만 명이 오후 3시에"])
    output = {"In September 30,000 at 15:00": -1.0, "9 3 3": -1.1}
    found = [
        Hypothesis(tuple(ids), score, score, (), None, True)
        for ids, score in zip(tokenizer.target.encode(list(output)), output.values(), strict=True)
    ]
    prepared = PreparedLine("", [LinePart(source, "")], cut=False)
    hypotheses = Postprocessor(tokenizer, SearchConfig()).assemble(prepared, [found], 2).hypotheses
    assert [each.text for each in hypotheses] == list(output)


def test_a_given_translation_is_not_changed(tokenizer: Tokenizer) -> None:
    (ids,) = tokenizer.source.encode([SOURCE])
    (given,) = tokenizer.target.encode(["nothing"])
    prepared = PreparedLine(SOURCE, [LinePart(ids, "")], cut=False)
    hypothesis = Hypothesis(tuple(given), -1.0, -1.0, (), None, True)
    assert Postprocessor(tokenizer, SearchConfig()).assemble_given(prepared, [hypothesis]).text == "nothing"


@pytest.mark.parametrize(
    ("source", "output", "expected"),
    [
        ("학교 €30", "the price is ↍30", "the price is €30"),
        ("학교 €30 ₿2", "₽30 and ↍2", "€30 and ₿2"),
        ("학교 30", "the price is ↍30", "the price is 30"),
        ("학교 €30", "€30", "€30"),
        ("학교 30", "café 30", "café 30"),
    ],
)
def test_a_symbol_misspelt_in_bytes_is_replaced_by_that_of_the_source_or_removed(
    tokenizer: Tokenizer, source: str, output: str, expected: str
) -> None:
    assert not any(map(tokenizer.target.has, "€↍₿₽é"))
    (ids,), (target,) = tokenizer.source.encode([source]), tokenizer.target.encode([output])
    found = [[Hypothesis(tuple(target), -1.0, -1.0, (), None, True)]]
    prepared = PreparedLine(source, [LinePart(ids, "")], cut=False)
    (best,) = Postprocessor(tokenizer, SearchConfig()).assemble(prepared, found, 1).hypotheses
    assert best.text == expected
    assert " ".join(words_copied(best.pieces, best.copies)).removesuffix(" </s>").strip() == expected
    assert (best.copies == ()) == (expected == output)
    plain = Postprocessor(tokenizer, SearchConfig(copying="none")).assemble(prepared, found, 1)
    assert plain.text == output


@given(st.lists(st.sampled_from([*"↍€⫝̸🙂가é", "\u2adc", "\ufdd0", "a", "7", " "]), max_size=8), st.booleans())
def test_no_symbol_that_the_source_lacks_is_left_whatever_the_bytes_spell(
    tokenizer: Tokenizer, characters: list[str], beside: bool
) -> None:
    source = "학교 €7" if beside else "학교"
    (ids,), (target,) = tokenizer.source.encode([source]), tokenizer.target.encode(["".join(characters)])
    found = [[Hypothesis(tuple(target), -1.0, -1.0, (), None, True)]]
    best = Postprocessor(tokenizer, SearchConfig()).assemble(
        PreparedLine(source, [LinePart(ids, "")], cut=False), found, 1
    )
    left = [each for each in best.text if unicodedata.category(each)[0] == "S" and not each.isascii()]
    assert set(left) <= {"€"} if beside else not left
    words_copied(best.hypotheses[0].pieces, best.hypotheses[0].copies)
