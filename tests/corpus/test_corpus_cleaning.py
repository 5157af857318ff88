import unicodedata
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kotrans.config.sections import CleaningConfig
from kotrans.corpus.cleaning import REASONS, Cleaner, Counts, fold, hangul_share
from kotrans.corpus.training_text import write_training_text
from kotrans.files import read_lines

GOOD = ("나는 어제 학교에 갔어요.", "I went to school yesterday.")


def clean(
    *pairs: tuple[str, str], config: CleaningConfig | None = None, held_out: tuple[str, ...] = ()
) -> tuple[list[tuple[str, str]], Counts]:
    kept, (counts,) = clean_corpora([pairs], config, held_out)
    return kept, counts


def clean_corpora(
    corpora: Sequence[Sequence[tuple[str, str]]], config: CleaningConfig | None = None, held_out: tuple[str, ...] = ()
) -> tuple[list[tuple[str, str]], list[Counts]]:
    config = config or CleaningConfig()
    with TemporaryDirectory() as name:
        folder = Path(name)
        counts = write_training_text(folder, corpora, Cleaner(config, held_out), duplicates=config.duplicates)
        for count in counts:
            count.dropped = +count.dropped  # without the reasons that dropped nothing
        return list(zip(*(read_lines(folder / f"train.{side}") for side in ("ko", "en")), strict=True)), counts


BAD_PAIRS = {
    "empty": ("", "I went."),
    "max_characters": ("가" * 1001, "I went." * 100),
    "equal_sides": ("GitHub 저장소", "GitHub 저장소"),
    "max_length_ratio": ("네.", "Yes, and that is all that I am ever going to say."),
    "min_hangul": ("Hello there 가", "Hello there, friend"),
    "max_hangul_target": ("나는 갔어요.", "나는 went."),
    "duplicates": GOOD,
    "contamination": ("다른 말입니다, 정말로요.", "He never said a WORD!"),
}


@pytest.mark.parametrize("reason", REASONS)
def test_each_rule_drops_its_pair_under_its_name(reason: str) -> None:
    kept, counts = clean(GOOD, BAD_PAIRS[reason], held_out=("He never said a word.",))
    assert kept == [GOOD]
    assert dict(counts.dropped) == {reason: 1}
    assert (counts.read, counts.kept) == (2, 1)


OFF = {
    "max_characters": {"max_characters": 2000},
    "equal_sides": {"equal_sides": False, "max_hangul_target": 0.9},
    "max_length_ratio": {"max_length_ratio": 100},
    "min_hangul": {"min_hangul": 0},
    "max_hangul_target": {"max_hangul_target": 0.5},
    "duplicates": {"duplicates": False},
    "contamination": {"contamination": False},
}


@pytest.mark.parametrize("reason", OFF)
def test_each_rule_can_be_set(reason: str) -> None:
    config = CleaningConfig.model_validate(OFF[reason])
    kept, _ = clean(GOOD, BAD_PAIRS[reason], config=config, held_out=("He never said a word.",))
    assert kept == [GOOD, BAD_PAIRS[reason]]


def test_an_invisible_side_is_empty() -> None:
    assert clean(("\u200b\u2028 ", "I went."))[1].dropped == {"empty": 1}


def test_what_stays_is_normalised_and_counted() -> None:
    korean, english = GOOD
    odd = (unicodedata.normalize("NFD", korean), english.replace("school", "sch\u200bool").replace(" ", "\x00", 1))
    kept, counts = clean(odd)
    assert kept == [GOOD]
    assert dict(counts.normalised) == {"nfc": 1, "invisible": 1}


def test_a_duplicate_is_one_after_normalisation() -> None:
    kept, counts = clean(GOOD, (unicodedata.normalize("NFD", GOOD[0]), "  " + GOOD[1]))
    assert kept == [GOOD]
    assert counts.dropped == {"duplicates": 1}


def test_another_translation_of_a_sentence_is_no_duplicate() -> None:
    other = (GOOD[0], "Yesterday I went to school.")
    assert clean(GOOD, other)[0] == [GOOD, other]


def test_a_korean_character_counts_as_two_english_ones() -> None:
    config = CleaningConfig(max_length_ratio=5)
    balanced, heavy = ("가" * 10, "x" * 90), ("가" * 30, "x" * 10)  # 10 to 45, and 30 to 5
    kept, counts = clean(balanced, heavy, config=config)
    assert kept == [balanced]
    assert counts.dropped == {"max_length_ratio": 1}


def test_duplicates_are_found_across_corpora() -> None:
    kept, counts = clean_corpora([[GOOD], [GOOD]])
    assert kept == [GOOD]
    assert [(count.kept, count.dropped) for count in counts] == [(1, {}), (0, {"duplicates": 1})]


@pytest.mark.parametrize(
    "held_out",
    [
        "나는 어제 학교에 갔어요",  # the Korean side, without its full stop
        "i went, to SCHOOL yesterday!",  # the English side, in another spelling
        "I  went to\u2028school yesterday.",  # white space is folded too
    ],
)
def test_a_pair_with_a_side_in_a_held_out_split_is_dropped(held_out: str) -> None:
    assert clean(GOOD, held_out=(held_out,))[1].dropped == {"contamination": 1}


def test_a_sentence_of_three_words_may_stand_in_both() -> None:
    pair = ("정말 고마워요.", "Thank you, really.")
    assert clean(pair, held_out=("Thank you really", "정말 고마워요."))[0] == [pair]


@pytest.mark.parametrize(
    ("line", "share"), [("가나다", 1.0), ("가 a1!?", 0.5), ("123", 0.0), ("", 0.0), ("漢字 가나", 0.5)]
)
def test_the_share_of_hangul_is_among_letters(line: str, share: float) -> None:
    assert hangul_share(line) == share


@given(st.text())
def test_folding_twice_is_folding_once_for_ascii(line: str) -> None:
    line = line.encode("ascii", "ignore").decode()
    assert fold(fold(line)) == fold(line)


@given(st.lists(st.tuples(st.text("가나ab .\u200b"), st.text("가나ab .\u200b")), max_size=30))
def test_every_pair_is_kept_or_counted_and_cleaning_again_keeps_all(pairs: list[tuple[str, str]]) -> None:
    kept, counts = clean(*pairs)
    assert counts.read == len(pairs) == counts.kept + counts.dropped.total()
    assert clean(*kept)[0] == kept
