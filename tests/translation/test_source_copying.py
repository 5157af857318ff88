"""Copying literals of the source into a translation."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kotrans.config.schema import Copying
from kotrans.engine.stepper import Weights
from kotrans.text.literals import Literals, missing_literals
from kotrans.text.normalization import normalize
from kotrans.text.subwords import END, spell_pieces, word_spans, word_text
from kotrans.translation.copies import Copy, words_copied
from kotrans.translation.source_copying import SourceLiterals, copy_literals

PIECES = st.lists(
    st.sampled_from(
        [
            "▁", "▁the", "▁Py", "Mem", "_", "x", "▁12", "3", ",", "▁A", "-", ".", "를", "Ａ", "<0xEC>", "<0x9D>", "만",
            "월", "▁오후", "▁9", "시", ":", "00", "▁Sep", "tember", "▁mill", "ion", "▁%", "s", "▁{", "n", "}", "▁a",
            "@", ".kr", "()", "▁p.m.",
        ]
    ),
    min_size=1,
    max_size=14,
)  # fmt: skip


def attention(target: Sequence[str], source: Sequence[str], at: dict[int, int], weight: float = 0.9) -> Weights:
    """Returns weights (T, S): the target pieces in `at` attend to the source piece there, others to the last one."""
    weights = np.zeros((len(target), len(source)), np.float32)
    for row in range(len(target)):
        weights[row, -1] = 1 - weight
        weights[row, at.get(row, len(source) - 1)] += weight
    return weights


def random_weights(target: Sequence[str], source: Sequence[str], seed: int) -> Weights:
    weights = np.random.default_rng(seed).random((len(target), len(source)), np.float32) ** 8
    return weights / weights.sum(1, keepdims=True)


def text_of(pieces: Sequence[str]) -> str:
    return normalize(spell_pieces([piece for piece in pieces if piece != END])[0])


def copied(
    source: Sequence[str], target: Sequence[str], at: dict[int, int], weight: float = 0.9, copying: Copying = "all"
) -> str:
    weights = attention(target, source, at, weight)
    return copy_literals(text_of(target), SourceLiterals(source), target, weights, copying)[0]


def test_a_misspelt_word_is_replaced_by_the_word_that_it_attends_to() -> None:
    source = ["▁Py", "Mem", "_Setup", "를", "▁부", "른", "다"]
    target = ["▁Call", "▁Py", "M", "um", "_Se", ",", "▁then"]
    weights = attention(target, source, {1: 0, 2: 1, 3: 1, 4: 2})
    text, copies = copy_literals(text_of(target), SourceLiterals(source), target, weights)
    assert text == "Call PyMem_Setup, then"
    assert copies == [Copy(1, 5, "PyMum_Se", "PyMem_Setup")]


def test_a_misspelt_call_is_replaced_with_its_brackets() -> None:
    source = ["▁Py", "Mem", "_Setup", "()", "▁함수"]
    for tail in (["()", "()"], ["()()"]):
        target = ["▁The", "▁Py", "Mem", "_Setup", *tail, "▁function"]
        assert copied(source, target, {1: 0, 2: 1, 3: 2, 4: 3}) == "The PyMem_Setup() function"
    assert copied(source, ["▁The", "▁Py", "Mem", "_Set", "()"], {1: 0, 2: 1, 3: 2, 4: 3}) == "The PyMem_Setup()"
    assert copied(source, ["▁The", "▁Py", "Mem", "_Setup"], {1: 0, 2: 1, 3: 2}) == "The PyMem_Setup"


def test_the_word_with_the_highest_attention_is_copied() -> None:
    source, target = ["▁pa", "ck", ",", "▁pa", "th"], ["▁pa", "t", ",", "▁pa", "tt"]
    assert copied(source, target, {0: 3, 1: 4, 3: 0, 4: 1}) == "path, pack"


def test_a_wrong_number_is_replaced_and_one_of_the_same_value_stays() -> None:
    source = ["▁12", "34", "5", "개"]
    assert copied(source, ["▁12", "35", "▁of"], {0: 0, 1: 1}) == "12345 of"
    assert copied(source, ["▁12", ",", "34", "5", "▁of"], {0: 0, 1: 1}) == "12,345 of"
    assert copied(source, ["▁the", "34", "▁of"], {0: 0, 1: 1}) == "the34 of"
    assert copied(source, ["▁cd", "▁of"], {0: 0}) == "cd of"
    assert copied(["▁1", ",", "000", "▁77", "7"], ["▁1", "000"], {0: 3, 1: 4}) == "1000"


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (["▁3", "만", "▁명이"], ["▁30", ",", "000", "▁people"], "30,000 people"),
        (["▁9", "월", "▁1", "일은"], ["▁Sep", "tember", "▁1"], "September 1"),
        (["▁100", "만", "▁원"], ["▁one", "▁mill", "ion", "▁won"], "one million won"),
        (["▁CD", "▁2", "장"], ["▁two", "▁CD", "s"], "two CDs"),
        (["▁10", "대"], ["▁te", "en", "ager", "s"], "teenagers"),
        (["▁1", "등"], ["▁fi", "rst"], "first"),
        (["▁3", "시"], ["▁th", "ree", "▁o'", "clock"], "three o'clock"),
        (["▁19", ":", "30", "에"], ["▁7", ":", "30", "▁p.m."], "7:30 p.m."),
        (["▁4", "▁명"], ["▁many", "▁peo", "ple"], "many people"),
        (["▁4", "▁명"], ["▁Aug", "ust"], "August"),
        (["▁4", "▁명"], ["▁a", "▁once"], "a once"),
        (["▁저장", "(", "S", ")", "을"], ["▁Pre", "ss", "▁Sa", "ve"], "Press Save"),
        (["▁<", "b", ">", "저장", "▁</", "b", ">"], ["▁Sa", "ve"], "Save"),
        (["▁파일", "이", "(", "가", ")"], ["▁no", "▁fi", "le"], "no file"),
    ],
)
def test_nothing_replaces_correct_text_or_words_that_are_not_numbers_or_names(
    source: list[str], target: list[str], expected: str
) -> None:
    for piece in range(len(source)):
        assert copied(source, target, dict.fromkeys(range(len(target)), piece), 1.0) == expected == text_of(target)


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (["▁3", "만", "▁명"], ["▁3", "▁people"], "30,000 people"),
        (["▁3", "만", "▁명"], ["▁thr", "ee", "▁people"], "30,000 people"),
        (["▁3", "억", "▁원"], ["▁30", "▁mill", "ion", "▁won"], "300 million won"),
        (["▁9", "월", "▁1", "일"], ["▁Aug", "ust", "▁1"], "September 1"),
        (["▁9", "월", "▁1", "일"], ["▁on", "▁8", "/", "1"], "on September/1"),
        (["▁오후", "▁3", "시"], ["▁at", "▁5", "▁p.m."], "at 3 p.m."),
        (["▁오후", "▁3", "시"], ["▁at", "▁5", "."], "at 3 p.m."),
        (["▁19", ":", "30", "에"], ["▁at", "▁18", ":", "30", "▁p.m."], "at 19:30."),
        (["▁3", "번째"], ["▁the", "▁2", "nd", "▁one"], "the 3rd one"),
        (["▁8", "명"], ["▁se", "ven", "▁men"], "8 men"),
    ],
)
def test_a_copied_number_is_written_as_in_english(source: list[str], target: list[str], expected: str) -> None:
    at = dict.fromkeys(range(len(target)), 1 if source[0] == "▁오후" else 0)
    assert copied(source, target, at, 1.0) == expected


@pytest.mark.parametrize(("weight", "expected"), [(0.9, "kubectl"), (0.05, "kubect")])
def test_a_word_with_attention_elsewhere_stays(weight: float, expected: str) -> None:
    assert copied(["▁kube", "ctl", "은"], ["▁kube", "ct"], {0: 0, 1: 1}, weight) == expected


@pytest.mark.parametrize(
    ("weight", "output", "expected"),
    [
        (0.9, ["▁of"], "Gtk of"), (0.9, ["▁o", "f"], "Gtk of"), (0.9, ["▁int", "erest", "ing"], "Gtk interesting"),
        (0.15, ["▁o", "f"], "of"), (0.15, ["▁gt"], "Gtk"), (0.9, ["▁gt"], "Gtk"),
        (0.9, ["▁September"], "Gtk September"),
    ],
)  # fmt: skip
def test_a_word_is_inserted_before_a_common_word_that_is_not_similar(
    weight: float, output: list[str], expected: str
) -> None:
    assert copied(["▁Gt", "k", "의"], output, {0: 0, 1: 1, 2: 1}, weight) == expected


def test_a_name_replaces_a_dissimilar_name_only_with_high_attention() -> None:
    source, target = ["▁Gt", "k", "의"], ["▁the", "▁Q", "o", "p"]
    assert copied(source, target, {1: 0, 2: 1, 3: 1}, 0.9) == "the Gtk"
    assert copied(source, target, {1: 0, 2: 1, 3: 1}, 0.15) == "the Qop"


def test_a_word_that_contains_a_literal_of_the_source_stays() -> None:
    assert copied(["▁KDE", ",", "▁Gt", "k"], ["▁KDE", "-", "ba", "sed"], {0: 2, 1: 2, 2: 3}) == "Gtk KDE-based"


def test_a_literal_that_occurs_often_enough_is_not_copied_again() -> None:
    source = ["▁Gt", "k", "의"]
    assert copied(source, ["▁Gt", "k", "▁Gt", "q"], {0: 0, 1: 1, 2: 0, 3: 1}) == "Gtk Gtq"
    assert copied([*source, *source], ["▁Gt", "k", "▁Gt", "q"], {0: 0, 1: 1, 2: 0, 3: 1}) == "Gtk Gtk"


@pytest.mark.parametrize(
    ("target", "at", "expected"),
    [
        (["▁could", "▁not", "▁find", ".", END], {3: 0}, "could not find %s."),
        (["▁could", "▁not", "▁find", "▁it", "▁now", ".", END], {3: 0}, "could not find %s it now."),
        (["▁could", "▁not", "▁find", "▁%", "▁s", "▁now"], {3: 0, 4: 1}, "could not find %s now"),
        (["▁could", "▁not", "▁find", "▁%", "d", "."], {3: 0, 4: 1}, "could not find %s."),
        (["▁%", "s", "▁not", "▁%", "s", "▁find"], {0: 0, 1: 1}, "%s not find"),
        (["▁not", "▁%", "s", ".", END], {}, "not %s."),
        ([END], {}, "%s"),
    ],
)
def test_a_placeholder_occurs_whole_and_as_often_as_in_the_source(
    target: list[str], at: dict[int, int], expected: str
) -> None:
    source = ["▁%", "s", "을", "(", "를", ")", "▁찾", "을", "▁수", "▁없", "다", END]
    assert copied(source, target, at) == expected


def test_a_stray_percent_sign_before_a_wrong_placeholder_is_replaced_with_it() -> None:
    source = ["▁", *"%(x)s", "로", "▁옮", "겼", "다", END]
    target = ["▁Moved", "▁to", "▁%", "{", "x", "}", "▁now", ".", END]
    assert copied(source, target, {2: 1, 3: 2, 4: 3, 5: 4}) == "Moved to %(x)s now."


LITERALS = (
    "https://a.kr/x?y=1&z=2#q", "kim.lee+a@b-c.co.kr", "+82-2-123-4567", "<@525363044948115456>", "`os.path`", "%1$s",
    "%d", "{name}", "%(x)s", "${y}", "$1", "{{x}}", "{0}",
)  # fmt: skip


@pytest.mark.parametrize("literal", LITERALS)
@pytest.mark.parametrize("blanks", [0, 1, 2])
def test_every_opaque_literal_is_copied_whole(literal: str, blanks: int) -> None:
    source = ["▁", *literal, "을", END]
    spoken = [literal, " ".join(literal), ""][blanks].replace(" ", "▁")
    target = ["▁Use", "▁", *spoken, "▁now", ".", END]
    at = {row: min(row, len(literal)) for row in range(1, len(spoken) + 2)}
    assert copied(source, target, at) == f"Use {literal} now."
    assert copied(source, target, at, copying="opaque") == f"Use {literal} now."


@given(st.lists(st.sampled_from([*LITERALS, "12", "Gtk"]), min_size=1, max_size=4), PIECES, st.integers(0, 99))
def test_no_opaque_literal_is_lost_whatever_the_model_produced(
    literals: list[str], target: list[str], seed: int
) -> None:
    source = [piece for literal in literals for piece in ["▁", *literal, "을"]]
    there, output = SourceLiterals(source), text_of(target)
    text, _ = copy_literals(output, there, target, random_weights(target, source, seed))
    here = Literals(text)
    assert not [token.text for token in missing_literals(there.literals, here) if token.kind == "opaque"]
    for placeholder in ("%1$s", "%d", "{name}", "%(x)s", "${y}", "{{x}}", "{0}"):
        assert here.counts[placeholder] == there.literals.counts[placeholder]


def test_search_copying_selects_the_kinds_of_literals() -> None:
    source = ["▁12", "▁Gt", "k", "▁%", "s", END]
    target = ["▁13", "▁Gt", "q", "▁%", "d", END]
    expected_of: dict[Copying, str] = {
        "none": "13 Gtq %d",
        "opaque": "13 Gtq %s",
        "words": "13 Gtk %s",
        "all": "12 Gtk %s",
    }
    for copying, expected in expected_of.items():
        assert copied(source, target, dict(enumerate(range(6))), copying=copying) == expected


@given(PIECES, PIECES, st.integers(0, 99))
def test_copying_loses_no_literal_and_reports_every_change(source: list[str], target: list[str], seed: int) -> None:
    output, there = text_of(target), SourceLiterals(source)
    text, copies = copy_literals(output, there, target, random_weights(target, source, seed))
    before, after = (
        Counter(token.kind for token in missing_literals(there.literals, Literals(each))) for each in (output, text)
    )
    assert after <= before
    assert [copy.begin for copy in copies] == sorted(copy.begin for copy in copies)
    words = [word for word in words_copied(target, copies) if word]
    assert " ".join(words) == normalize(text)
    for copy in copies:
        assert copy.copied != copy.said
        assert not copies or text != output


@given(PIECES, PIECES, st.integers(0, 99))
@example(["▁3", "만"], ["▁30", ",", "000"], 0)
def test_a_translation_with_all_literals_of_its_source_is_not_changed(
    source: list[str], target: list[str], seed: int
) -> None:
    target = [*target, "▁", *source]
    there, output = SourceLiterals(source), text_of(target)
    has_all = not missing_literals(there.literals, Literals(output))
    once = Literals(output).counts <= there.literals.counts
    if has_all and once:
        assert copy_literals(output, there, target, random_weights(target, source, seed)) == (output, [])


def test_a_copy_into_a_word_of_several_literals_replaces_the_right_one() -> None:
    source, target = ["▁13", "/", "5", "에"], ["▁13", "/", "3"]
    text, copies = copy_literals("13/3", SourceLiterals(source), target, attention(target, source, {0: 0, 2: 2}))
    assert text == "13/5"
    assert words_copied(target, copies) == ["13/5"]


@pytest.mark.parametrize(
    ("pieces", "copies", "words"),
    [
        (["▁3", "/", "3"], [Copy(2, 3, "3", "5")], ["3/5"]),
        (["▁12", "3", "-", "3"], [Copy(0, 2, "123", "PyMem"), Copy(3, 4, "3", "12")], ["PyMem-12"]),
        (["▁3", "KB"], [Copy(0, 1, "3", "x86"), Copy(1, 2, "KB", "B")], ["x86B"]),
        (["▁30", "▁mill", "ion", ",", "▁no"], [Copy(0, 3, "30 million", "30,000")], ["30,000,", "", "no"]),
        (["▁30", "▁million", "/", "3"], [Copy(0, 2, "30 million", "5"), Copy(3, 4, "3", "7")], ["5/7", ""]),
        (["▁find", ".", END], [Copy(1, 1, "", "%s")], ["find %s.", END]),
        (["▁find", "▁it", END], [Copy(1, 1, "", "%s")], ["find", "%s it", END]),
        (["▁%", "s", "▁it"], [Copy(0, 2, "%s", "")], ["", "it"]),
        (["▁it", END], [Copy(0, 0, "", "%d"), Copy(0, 0, "", "%s"), Copy(0, 1, "it", "x")], ["%d %s x", END]),
        (["▁it", END], [Copy(1, 1, "", "%s")], ["it %s", END]),
    ],
)
def test_several_copies_are_applied_to_the_words_in_order(
    pieces: list[str], copies: list[Copy], words: list[str]
) -> None:
    assert words_copied(pieces, copies) == words


@given(PIECES)
def test_without_copies_the_words_are_those_of_the_pieces(pieces: list[str]) -> None:
    assert words_copied(pieces, []) == [word_text(pieces[span.start : span.stop]) for span in word_spans(pieces)]


@given(PIECES, st.integers(0, 99))
def test_a_source_without_literals_changes_nothing(target: list[str], seed: int) -> None:
    source = ["▁나무", "를", END]
    weights = np.random.default_rng(seed).dirichlet(np.ones(3), len(target)).astype(np.float32)
    output = text_of(target)
    assert copy_literals(output, SourceLiterals(source), target, weights) == (output, [])


def test_a_copy_of_a_later_sentence_is_shifted_by_the_pieces_before_it() -> None:
    assert Copy(1, 4, "a", "b").shifted(7) == Copy(8, 11, "a", "b")
