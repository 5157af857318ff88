"""Which of the hypotheses that a search found become translations, and in what order."""

from pathlib import Path

import pytest

from kotrans.assembly import Assembler, Part, Prepared
from kotrans.config.config import SearchConfig
from kotrans.config.sections import TokenizerConfig
from kotrans.search.trellis import Hypothesis
from kotrans.tokenizer import Tokenizer
from tests.small_corpus import small_tokenizer

SOURCE = "학교 Python 3.11 학교 7"
SAID = {"nothing": -1.0, "Python only": -1.5, "Python 3.11 and 7": -2.2, "Python 3.11": -2.4}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return small_tokenizer(Path(tmp_path_factory.mktemp("assembly")), TokenizerConfig(vocabulary_size=330))


def assembled(
    tokenizer: Tokenizer, said: dict[str, float], penalty: float, n_best: int = 1, cut: str = "", parts: int = 1
) -> list[str]:
    """The translations of SOURCE, `parts` times, where hypotheses with these scores were found, best first."""
    texts = tokenizer.target.encode(list(said))
    found = [
        Hypothesis(tuple(ids), score, score, (), None, text != cut)
        for ids, (text, score) in zip(texts, said.items(), strict=True)
    ]
    (ids,) = tokenizer.source.encode([SOURCE])
    prepared = Prepared(SOURCE, [Part(ids, " ")] * parts, cut=False)
    assembler = Assembler(tokenizer, SearchConfig(verbatim_penalty=penalty))
    return [each.text for each in assembler.assemble(prepared, [found] * parts, n_best).hypotheses]


def test_each_lost_number_or_latin_word_costs_the_penalty(tokenizer: Tokenizer) -> None:
    assert assembled(tokenizer, SAID, 0.0, 4) == list(SAID)
    assert assembled(tokenizer, SAID, 0.3, 4) == ["nothing", "Python only", "Python 3.11 and 7", "Python 3.11"]
    assert assembled(tokenizer, SAID, 0.6, 4) == ["Python 3.11 and 7", "Python only", "nothing", "Python 3.11"]
    assert assembled(tokenizer, SAID, 9.0, 4) == ["Python 3.11 and 7", "Python 3.11", "Python only", "nothing"]
    assert assembled(tokenizer, SAID, 9.0) == ["Python 3.11 and 7"]


def test_the_order_stays_where_the_best_has_lost_nothing(tokenizer: Tokenizer) -> None:
    said = {"7 3.11 Python": -1.0, "nothing": -2.0, "Python 3.11 and 7": -3.0}
    assert assembled(tokenizer, said, 9.0, 3) == list(said)


def test_a_translation_that_was_cut_stands_behind_every_finished_one(tokenizer: Tokenizer) -> None:
    said = {"nothing": -1.0, "7 3.11 Python": -0.5}
    assert assembled(tokenizer, said, 9.0, 2, cut="7 3.11 Python") == list(said)


def test_every_part_of_a_line_is_ranked_by_itself(tokenizer: Tokenizer) -> None:
    assert assembled(tokenizer, SAID, 9.0, parts=2) == ["Python 3.11 and 7 Python 3.11 and 7"]


def test_as_many_are_searched_for_as_may_be_preferred(tokenizer: Tokenizer) -> None:
    assert Assembler(tokenizer, SearchConfig()).searched(n_best=2, beam=5) == 5
    assert Assembler(tokenizer, SearchConfig(verbatim_penalty=0)).searched(n_best=2, beam=5) == 2


def test_a_translation_that_is_given_stays_as_it_is(tokenizer: Tokenizer) -> None:
    (ids,) = tokenizer.source.encode([SOURCE])
    (given,) = tokenizer.target.encode(["nothing"])
    prepared = Prepared(SOURCE, [Part(ids, "")], cut=False)
    hypothesis = Hypothesis(tuple(given), -1.0, -1.0, (), None, True)
    assert Assembler(tokenizer, SearchConfig()).as_given(prepared, [hypothesis]).text == "nothing"
