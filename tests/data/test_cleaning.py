"""Cleaning of training pairs."""

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kotrans.config.sections import CleaningConfig
from kotrans.data.cleaning import REASONS, Cleaner, Counts, fold, hangul_share, korean_share
from kotrans.data.training_text import write_training_text
from kotrans.storage.files import read_lines

GOOD = ("나는 어제 학교에 갔어요.", "I went to school yesterday.")


def clean(
    *pairs: tuple[str, str], config: CleaningConfig | None = None, held_out: tuple[str, ...] = ()
) -> tuple[list[tuple[str, str]], Counts]:
    kept, (counts,) = clean_corpora([pairs], config, held_out)
    return kept, counts


def clean_corpora(
    corpora: Sequence[Sequence[tuple[str, str]]],
    config: CleaningConfig | None = None,
    held_out: tuple[str, ...] = (),
    pairs_in_a_part: int = 100,
) -> tuple[list[tuple[str, str]], list[Counts]]:
    config = config or CleaningConfig()
    with TemporaryDirectory() as name:
        folder = Path(name)
        cleaner = Cleaner(config, same_on_both_sides(held_out))
        counts = write_training_text(
            folder, corpora, cleaner, duplicates=config.duplicates, processes=1, pairs_in_a_part=pairs_in_a_part,
            max_target_occurrences=config.max_target_occurrences,
        )  # fmt: skip
        for count in counts:
            count.dropped = +count.dropped  # without the reasons that dropped nothing
        return list(zip(*(read_lines(folder / f"train.{side}") for side in ("ko", "en")), strict=True)), counts


def same_on_both_sides(lines: Sequence[str]) -> list[tuple[str, str]]:
    return [(line, line) for line in lines]


BAD_PAIRS = {
    "empty": ("", "I went."),
    "max_characters": ("가" * 1001, "I went." * 100),
    "equal_sides": ("GitHub 저장소", "GitHub 저장소"),
    "max_length_ratio": ("네.", "Yes, and that is all that I am ever going to say."),
    "min_hangul": ("Hello there, 漢字", "Hello there, friend"),
    "max_hangul_target": ("나는 갔어요.", "나는 went."),
    "numbers": ("사과 3개를 샀어요.", "I bought 4 apples."),
    "max_held_out_overlap": ("그는 책을 다 읽었어요.", "He read the whole book in a day."),
    "duplicates": GOOD,
    "contamination": ("다른 말입니다, 정말로요.", "He never said a WORD!"),
    "max_target_occurrences": ("어제 학교에 간 사람은 나예요.", "I went to school, yesterday!"),
}


@pytest.mark.parametrize("reason", REASONS)
def test_each_rule_drops_its_pair_under_its_name(reason: str) -> None:
    held_out = ("He never said a word.", "She read the whole book in a day.")
    kept, counts = clean(
        GOOD,
        BAD_PAIRS[reason],
        config=CleaningConfig(max_held_out_overlap=0.5, numbers=True, max_target_occurrences=1),
        held_out=held_out,
    )
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


def test_the_first_dropped_pairs_of_each_rule_are_kept_as_examples() -> None:
    again = [(f"{GOOD[0]} {n}", f"{GOOD[1]} {n}") for n in range(4)]
    empty = [("", f"Nothing {n}.") for n in range(4)]
    held = [("다른 말입니다, 정말로요.", f"He said number {n} now!") for n in range(2)]
    corpora = [[*again, *empty[:2], *held], [*empty[2:], *again[::-1], *again]]
    _, counts = clean_corpora(corpora, held_out=tuple(english for _, english in held))
    assert counts[0].examples == {"empty": empty[:2], "contamination": held}
    assert counts[1].examples == {"empty": empty[2:], "duplicates": again[:0:-1]}


def test_counts_of_parts_keep_the_first_examples() -> None:
    total = Counts()
    for number in range(5):
        part = Counts()
        part.drop("empty", ("", str(number)))
        total.add(part)
    assert total.dropped == {"empty": 5}
    assert total.examples == {"empty": [("", "0"), ("", "1"), ("", "2")]}


def test_an_invisible_side_is_empty() -> None:
    assert clean(("\u200b\u2028 ", "I went."))[1].dropped == {"empty": 1}


def test_kept_pairs_are_normalized_and_counted() -> None:
    korean, english = GOOD
    odd = (unicodedata.normalize("NFD", korean), english.replace("school", "sch\u200bool").replace(" ", "\x00", 1))
    kept, counts = clean(odd)
    assert kept == [GOOD]
    assert dict(counts.normalised) == {"nfc": 1, "invisible": 1}


def test_duplicates_are_compared_after_normalization() -> None:
    kept, counts = clean(GOOD, (unicodedata.normalize("NFD", GOOD[0]), "  " + GOOD[1]))
    assert kept == [GOOD]
    assert counts.dropped == {"duplicates": 1}


def test_another_translation_of_a_sentence_is_not_a_duplicate() -> None:
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


def test_a_sentence_of_three_words_may_occur_in_train_and_test() -> None:
    pair = ("정말 고마워요.", "Thank you, really.")
    assert clean(pair, held_out=("Thank you really", "정말 고마워요."))[0] == [pair]


def test_a_short_pair_is_dropped_if_a_held_out_split_has_the_same_pair() -> None:
    cleaner = Cleaner(CleaningConfig(), [("그래?", "Really?"), ("!", "?")])
    pairs = [("그래!", "really"), ("그래?", "Is that so?"), ("정말?", "Really?"), ("네!", "!")]
    assert cleaner(pairs).held_out.tolist() == [True, False, False, False]


@pytest.mark.parametrize(
    ("line", "share"), [("가나다", 1.0), ("가 a1!?", 0.5), ("123", 0.0), ("", 0.0), ("漢字 가나", 0.5)]
)
def test_the_share_of_hangul_is_among_letters(line: str, share: float) -> None:
    assert hangul_share(line) == share


@pytest.mark.parametrize(
    ("line", "share"),
    [
        ("가나다", 1.0),
        ("가 a1!? 12", 0.5),
        ("123", 0.0),
        ("", 0.0),
        ("漢字 가나", 0.5),
        ("Galaxy S24 Ultra 출시", 0.25),
    ],
)
def test_the_share_of_korean_is_among_words_with_letters(line: str, share: float) -> None:
    assert korean_share(line) == share


def test_a_headline_with_foreign_names_is_kept() -> None:
    pair = ("Samsung Galaxy S24 Ultra 출시", "Samsung Galaxy S24 Ultra released")
    assert clean(pair)[0] == [pair]


@given(st.text())
def test_folding_twice_is_folding_once_for_ascii(line: str) -> None:
    line = line.encode("ascii", "ignore").decode()
    assert fold(fold(line)) == fold(line)


@given(st.lists(st.tuples(st.text("가나ab .\u200b"), st.text("가나ab .\u200b")), max_size=30))
def test_every_pair_is_kept_or_counted_and_cleaning_again_keeps_all(pairs: list[tuple[str, str]]) -> None:
    kept, counts = clean(*pairs)
    assert counts.read == len(pairs) == counts.kept + counts.dropped.total()
    assert clean(*kept)[0] == kept


def simple_definition(
    corpora: Sequence[Sequence[tuple[str, str]]], config: CleaningConfig, held_out: tuple[str, ...]
) -> tuple[list[tuple[str, str]], list[dict[str, int]]]:
    """Cleans one pair after the other."""
    cleaner, seen = Cleaner(config, same_on_both_sides(held_out)), set()
    kept: list[tuple[str, str]] = []
    dropped = [dict.fromkeys(REASONS, 0) for _ in corpora]
    for number, pairs in enumerate(corpora):
        for pair in pairs:
            cleaned = cleaner([pair])
            text = cleaned.source.decode().removesuffix("\n"), cleaned.target.decode().removesuffix("\n")
            if not cleaned.counts.kept:
                (reason,) = cleaned.counts.dropped
            elif config.duplicates and text in seen:
                reason = "duplicates"
            else:
                reason = "contamination" if cleaned.held_out[0] else "kept"
            seen.add(text)
            if reason == "kept":
                kept.append(text)
            else:
                dropped[number][reason] += 1
    return kept, dropped


SIDE = st.sampled_from(
    ["", "가", "나다 라마 바사 아자", "나다  라마 바사 아자", "한 마디", "One two three four", "a b", "c"]
)
CORPORA = st.lists(st.lists(st.tuples(SIDE, SIDE), max_size=12), min_size=1, max_size=3)


@given(CORPORA, st.booleans(), st.integers(1, 5))
def test_cleaning_in_parts_drops_the_pairs_of_the_simple_definition(
    corpora: list[list[tuple[str, str]]], duplicates: bool, part: int
) -> None:
    config = CleaningConfig(duplicates=duplicates)
    held_out = ("one, two three FOUR", "나다 라마 바사 아자!")
    kept, counts = clean_corpora(corpora, config, held_out, part)
    expected, dropped = simple_definition(corpora, config, held_out)
    assert kept == expected
    assert [dict.fromkeys(REASONS, 0) | count.dropped for count in counts] == dropped
    assert [count.read for count in counts] == [len(pairs) for pairs in corpora]
    assert sum(count.kept for count in counts) == len(kept)


def test_several_processes_leave_the_same_files_as_one(tmp_path: Path) -> None:
    corpora = [
        [(f"문장 {n % 40}번입니다.", f"This is sentence {n % 40}.") for n in range(base, base + 45)] for base in (0, 7)
    ]
    reported: list[int] = []
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        folder.mkdir()
        cleaner = Cleaner(CleaningConfig(), [("", "This is sentence 5!")])
        write_training_text(
            folder, corpora, cleaner, duplicates=True, processes=processes, progress=reported.append, pairs_in_a_part=10
        )
    assert sorted(path.name for path in folder.iterdir()) == ["train.en", "train.ko", "train.origin.npy"]
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "1" / path.name).read_bytes()
    assert len(read_lines(folder / "train.ko")) == 39
    assert reported == [10, 20, 30, 40, 45, 55, 65, 75, 85, 90] * 2


def test_swapped_sides_are_kept_without_the_hangul_rules() -> None:
    pairs = [("I went home.", "나는 집에 갔어요."), ("She reads a book.", "그녀는 책을 읽어요.")]
    assert clean_corpora([pairs])[0] == []
    assert clean_corpora([pairs], CleaningConfig(min_hangul=0, max_hangul_target=1))[0] == pairs
