"""Glossaries: finding terms in Korean sentences, and keeping them in translations."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from kotrans.config.schema import SearchConfig
from kotrans.errors import DataError
from kotrans.search.constraints import FREE
from kotrans.translation.glossary import Glossary, Term
from kotrans.translation.translator import Translator
from tests.tiny_run import TinyRun

TERMS = {
    "어텐션": "attention",
    "주의": "caution",
    "은닉 상태": "hidden state",
    "상태": "status",
    "학습하다": "learn",
    "GPU": "graphics card",
    "역전파": "backpropagation",
}


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("어텐션은 은닉 상태를 학습합니다.", ["어텐션", "은닉 상태", "학습하다"]),
        ("상태들에서는 어텐션이었습니다", ["상태", "어텐션"]),
        ("모델이 학습한 '어텐션'과 역전파", ["학습하다", "어텐션", "역전파"]),
        ("어텐션, 어텐션!", ["어텐션"]),
        ("주의사항을 읽으세요", []),
        ("주의하세요", ["주의"]),
        ("gpu에서 GPU로", ["GPU"]),
        ("GPUs에서", []),
        ("재학습하다", []),
        ("", []),
    ],
)
def test_terms_are_found_with_particles_and_endings(sentence: str, found: list[str]) -> None:
    assert [term.source for term in Glossary.of(TERMS).find(sentence)] == found


@given(
    st.dictionaries(st.text("가나다하 ab", min_size=1).filter(str.strip), st.just("x"), max_size=5),
    st.text("가나다하는 ab."),
)
def test_every_term_that_is_found_occurs_in_the_sentence(terms: dict[str, str], sentence: str) -> None:
    for term in Glossary.of(terms).find(sentence):
        stem = term.source.removesuffix("하다") if len(term.source) > 2 else term.source
        assert stem.casefold() in sentence.casefold()
        assert term.target == "x"


def test_a_file_has_a_term_a_tab_and_its_translation_per_line(tmp_path: Path) -> None:
    path = tmp_path / "terms.tsv"
    path.write_text("\ufeff# terms\n어텐션\tattention\r\n\n은닉 상태\thidden state\n", "utf-8")
    assert [term.target for term in Glossary.load(path).find("은닉 상태와 어텐션")] == ["hidden state", "attention"]


def test_terms_are_counted_in_any_of_their_forms() -> None:
    sources = ["어텐션과 상태", "상태는", "은닉 상태", "없음"]
    found = Glossary.of(TERMS).survival(sources, ["Attention and statuses", "a status2", "hidden states", "attention"])
    assert found == (4, 3)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("어텐션\n", r"terms\.tsv:1: needs a source term, one tab, and its translation"),
        ("a\tb\n\tx\n", r"terms\.tsv:2: needs"),
        ("a\tb\tc\n", r"terms\.tsv:1: needs"),
        ("a\tb\na\tc\n", r"terms\.tsv:2: 'a' has a translation already \('b'\)"),
    ],
)
def test_a_wrong_line_is_named(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "terms.tsv").write_text(text, "utf-8")
    with pytest.raises(DataError, match=problem):
        Glossary.load(tmp_path / "terms.tsv")


def test_a_blank_translation_is_refused() -> None:
    with pytest.raises(DataError, match="'a' has no translation"):
        Glossary.of({"a": " "})


LINES = ["저는 새 바다를 좋아합니다.", "그들은 작은 강아지를 찾습니다.", "너는 의자를 봅니다.", ""]


def loaded(run: TinyRun, *settings: str) -> Translator:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KOTRANS_RUNS", str(run.runs))
        return Translator.load("tiny", settings=settings)


@pytest.mark.e2e
def test_translations_have_the_terms_of_their_sentence_and_begin_as_wanted(tiny_run: TinyRun, tmp_path: Path) -> None:
    (tmp_path / "terms.tsv").write_text("바다\tapple tree\n강아지\twait\n", "utf-8")
    bound = loaded(tiny_run, f"search.glossary={tmp_path / 'terms.tsv'}").translate(LINES)
    assert "apple tree" in bound[0]
    assert "wait" in bound[1]
    assert bound[2:] == loaded(tiny_run).translate(LINES)[2:]
    begun = loaded(tiny_run, "search.prefix=We see the").translate(LINES)
    assert all(text.startswith("We see the") for text in begun[:3])
    assert begun[3] == ""


@pytest.mark.e2e
def test_only_the_first_sentence_of_a_line_begins_with_the_prefix(tiny_run: TinyRun) -> None:
    (found,) = loaded(tiny_run, "search.prefix=We see the").translate([" ".join(LINES[:2])])
    assert found.startswith("We see the")
    assert found.count("We see the") == 1


@pytest.mark.e2e
def test_a_missing_glossary_is_an_error(tiny_run: TinyRun, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"terms\.tsv: there is no such file"):
        loaded(tiny_run, f"search.glossary={tmp_path / 'terms.tsv'}")


@pytest.mark.e2e
def test_samples_are_repeatable_and_do_not_depend_on_the_batch(tiny_run: TinyRun) -> None:
    lines = LINES[:3] * 3
    drawn = loaded(tiny_run, "search.sample=true")
    assert drawn.translate(lines) == [text for line in lines for text in drawn.translate([line])]
    other = loaded(tiny_run, "search.sample=true", "search.seed=2", "search.batch=2")
    assert other.translate(lines) != drawn.translate(lines)
    assert other.translate(lines[:3]) == other.translate(lines)[3:6]


@pytest.mark.e2e
def test_a_sample_of_one_piece_is_greedy(tiny_run: TinyRun) -> None:
    greedy = loaded(tiny_run, "search.beam=1").translate(LINES)
    for setting in ("search.top_k=1", "search.top_p=1e-9"):
        assert loaded(tiny_run, "search.sample=true", setting).translate(LINES) == greedy


def test_samples_and_constraints_exclude_each_other() -> None:
    with pytest.raises(ValidationError, match=r"search\.sample cannot be combined with search\.glossary or search"):
        SearchConfig(sample=True, prefix="The")


@pytest.mark.parametrize(
    ("target", "plural"),
    [("layer", "layers"), ("class", "classes"), ("match", "matches"), ("entropy", "entropies"), ("key", "keys")],
)
def test_a_term_may_be_in_the_plural_or_begin_a_sentence(target: str, plural: str) -> None:
    assert Term("x", target).forms == [target, target.capitalize(), plural, plural.capitalize()]


@pytest.mark.e2e
def test_a_sentence_without_a_term_has_no_constraints(tiny_run: TinyRun) -> None:
    translator = loaded(tiny_run)
    one, other = translator.prepare(LINES[1:3], glossary=Glossary.of({"강아지": "dog"}))
    assert one.parts[0].constraints != FREE
    assert other.parts[0].constraints == FREE
