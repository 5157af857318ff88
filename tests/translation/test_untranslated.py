"""Text without Korean, emoji, and symbols that the vocabulary lacks."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kotrans.data.tokenizer import Vocabulary
from kotrans.text.normalization import normalize, shorten
from kotrans.text.passthrough import has_korean, split_emoji
from kotrans.translation.continuous_batching import ContinuousTranslator, SearchRequest
from kotrans.translation.postprocess import Translation, translation_record
from kotrans.translation.translator import Translator
from tests.tiny_run import TinyRun, kotrans, write_config

SAME = [
    "00:01:02,345 --> 00:01:04,000",
    "1,234.5",
    "----------",
    "https://a.kr/x?y=1&z=2#q",
    "This is English already. It stays.",
    "🌳",
    "???" * 300,
]
KOREAN = "저는 새 나무를 봅니다."


@pytest.fixture
def run(tiny_run: TinyRun, monkeypatch: pytest.MonkeyPatch) -> TinyRun:
    monkeypatch.setenv("KOTRANS_RUNS", str(tiny_run.runs))
    return tiny_run


@pytest.fixture
def translator(run: TinyRun) -> Translator:
    return Translator.load("tiny")


def one(translator: Translator, line: str) -> Translation:
    (translation,) = translator.translations([line])
    return translation


def test_lines_without_korean_are_unchanged_on_every_path(run: TinyRun) -> None:
    assert kotrans("translate", stdin="".join(f"{line}\n" for line in SAME).encode()).lines == SAME
    assert Translator.load("tiny").translate([f"  {line}\t" for line in SAME]) == SAME
    translator = Translator.load("tiny")
    running = ContinuousTranslator(translator, memory=2**30)
    running.add([SearchRequest(number, each, 2, 2) for number, each in enumerate(translator.prepare(SAME))])
    answers = dict(running.step(0))
    assert [each.text for each in answers.values() if isinstance(each, Translation)] == SAME


def test_a_line_that_is_passed_through_has_one_hypothesis_of_score_0_without_attention(
    translator: Translator,
) -> None:
    (passed,) = translator.translations([SAME[0]], n_best=3)
    (best,) = passed.hypotheses
    assert (passed.parts, passed.source_pieces, passed.left_out) == (0, (), ())
    assert (best.score, best.log_prob, best.pieces, best.weights, best.finished) == (0, 0, (), None, True)
    assert translation_record(passed)["hypotheses"] == [
        {"text": SAME[0], "score": 0, "log_prob": 0, "finished": True, "pieces": [], "copies": []}
    ]


def test_sentences_without_korean_are_unchanged_between_translated_ones(translator: Translator) -> None:
    alone = one(translator, KOREAN).text
    mixed = one(translator, f"It works.  {KOREAN} Fine. {KOREAN} https://a.kr/ .")
    assert mixed.text == f"It works.  {alone} Fine. {alone} https://a.kr/ ."
    assert mixed.parts == len(mixed.hypotheses[0].weights_of_parts) == 2


def test_a_run_of_another_direction_translates_lines_without_korean(
    run: TinyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = run.folder / "backwards.yaml"
    text = write_config(run.folder, "backwards", "cleaning: {min_hangul: 0, max_hangul_target: 1}\n").read_text("utf-8")
    exchanged = text.replace(".ko", ".xx").replace(".en", ".ko").replace(".xx", ".en")
    config.write_text(exchanged, "utf-8")
    monkeypatch.setenv("KOTRANS_RUNS", str(run.folder / "backwards"))
    assert kotrans("train", "-c", config, "--set", "training.max_updates=3").code == 0
    found = one(Translator.load("backwards"), "I see the new tree.")
    assert found.parts == 1
    assert found.source_pieces
    assert found.text != "I see the new tree."


def test_emoji_at_the_ends_are_kept_and_those_inside_are_left_out_with_a_warning(run: TinyRun) -> None:
    family, flag, heart = "👩\u200d👩\u200d👧", "🇰🇷", "❤\ufe0f"
    alone = kotrans("translate", KOREAN).lines[0]
    result = kotrans("translate", f"{flag} {KOREAN[:-1]} {family}{heart}", f"저는 새 {family}나무를 봅니다. ", KOREAN)
    assert result.lines[0].startswith(f"{flag} ")
    assert result.lines[0].endswith(f" {family}{heart}")
    assert result.lines[1:] == [alone, alone]
    warnings = [line for line in result.err.splitlines() if "left out" in line]
    assert len(warnings) == 1
    assert "1 line" in warnings[0]
    assert "line 2" in warnings[0]
    assert family in warnings[0]


@pytest.mark.parametrize("line", ["ㅋ" * 3000, "하하" * 500, "배고파 " * 400, "배고파" * 400])
def test_text_repeated_hundreds_of_times_is_translated_as_three_repetitions(line: str, translator: Translator) -> None:
    found = one(translator, line)
    assert found.source == line
    assert len(found.source_pieces) < 60
    assert len(found.text.split()) < 60


def test_digits_and_few_repeats_are_not_shortened() -> None:
    for text in ("1" + "0" * 40, "ㅋ" * 8, "하하하하", "네. 네. 네.", "１２１２１２１２１２１２１２１２１２１２"):
        assert shorten(text) == text
    assert shorten("와" + "ㅋ" * 9 + "!") == "와ㅋㅋㅋ!"


@given(st.text(alphabet="가나 1😀", max_size=80))
def test_shortening_keeps_every_character_and_never_lengthens(text: str) -> None:
    assert len(shorten(text)) <= len(text)
    assert set(shorten(text)) == set(text)


@given(st.text(alphabet=st.sampled_from("가a. 😀👩\u200d❤\ufe0f🇰🇷1\u20e3🏻→"), max_size=30))
def test_dividing_removes_nothing_but_whole_emoji(text: str) -> None:
    whole = split_emoji(text, lambda picture: True)
    assert "".join(whole[:3]) == text
    divided = split_emoji(text, lambda picture: False)
    assert text.startswith(divided.before)
    assert text.endswith(divided.after)
    taken = "".join(divided.outside)
    assert all(character in divided.text or character in taken for character in text[len(divided.before) :]
               .removesuffix(divided.after))  # fmt: skip


@pytest.fixture(scope="module")
def vocabulary(tiny_run: TinyRun) -> Vocabulary:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KOTRANS_RUNS", str(tiny_run.runs))
        return Translator.load("tiny").tokenizer.target


@given(ids=st.lists(st.integers(0, 10_000), max_size=30), data=st.lists(st.integers(0, 255), max_size=12))
def test_no_sequence_of_pieces_spells_half_a_character(ids: list[int], data: list[int], vocabulary: Vocabulary) -> None:
    spelt = {piece: i for i, piece in enumerate(vocabulary.pieces(range(vocabulary.size)))}
    odd = [spelt[f"<0x{byte:02X}>"] for byte in data]
    text = vocabulary.decode([*(i % vocabulary.size for i in ids), *odd, *(i % vocabulary.size for i in ids)])
    assert "\ufffd" not in text
    text.encode()


def test_invalid_utf8_in_byte_pieces_is_dropped_and_its_neighbours_stay(translator: Translator) -> None:
    vocabulary = translator.tokenizer.target
    spelt = {piece: i for i, piece in enumerate(vocabulary.pieces(range(vocabulary.size)))}
    (tree,) = vocabulary.encode(["tree"])
    for odd in (b"\xed\xa0\x80", b"\xf0\x9f\x8c", b"\xc0\xaf", b"\x80", b"\xff"):
        broken = [spelt[f"<0x{byte:02X}>"] for byte in odd]
        assert vocabulary.decode([*tree, *broken, *tree]) == "tree tree"


@pytest.mark.parametrize("splits", [False, True])
def test_score_repeats_the_scores_of_the_search(splits: bool, run: TinyRun, caplog: pytest.LogCaptureFixture) -> None:
    settings = ["search.copying=false", f"search.split_sentences={str(splits).lower()}"]
    translator = Translator.load("tiny", settings=settings)
    lines = [
        KOREAN,
        f"{KOREAN} 우리는 큰 바다를 찾습니다.",
        "OK. Fine.",
        f"{KOREAN} OK.",
        f"{KOREAN} 🌳",
        "",
        "저는 🌳 나무.",
    ]
    found = list(translator.translations(lines))
    scored = list(translator.score((each.source, each.text) for each in found))
    compared = 0
    for one, other in zip(found, scored, strict=True):
        assert one.text == other.text or not one.text
        if one.hypotheses[0].pieces == other.hypotheses[0].pieces:
            compared += 1
            assert other.hypotheses[0].score == pytest.approx(one.hypotheses[0].score, abs=1e-5)
            assert (one.parts, one.source_pieces) == (other.parts, other.source_pieces)
    assert compared >= 5
    assert found[1].parts == 1 + splits


def test_a_pair_with_different_numbers_of_sentences_is_scored_whole_and_counted(
    translator: Translator, caplog: pytest.LogCaptureFixture
) -> None:
    pairs = [(f"{KOREAN} {KOREAN}", "I see the new tree."), (f"{KOREAN} {KOREAN}", "I see. I see.")]
    with caplog.at_level(logging.WARNING):
        whole, by_sentence = translator.score(pairs, split_sentences=True)
    assert (whole.parts, by_sentence.parts) == (1, 2)
    assert "1 of 2 pairs were scored whole" in caplog.text
    assert by_sentence.hypotheses[0].weights is not None


def test_translations_have_no_replacement_character_whatever_the_source(translator: Translator) -> None:
    lines = ["나무 \ufffd 바다", "\ufffd 나무", "나무 ⴰⵣⵓⵍ ☃ 𓀀 바다", "나무" + "\U0010fffe"]
    for translation in translator.translations(lines):
        assert "\ufffd" not in translation.text
        assert normalize(translation.text) == translation.text
    (snow,) = translator.translations([lines[2]])
    assert set("ⴰⵣⵓⵍ𓀀☃") - set(snow.text) <= set("".join(snow.left_out)) | {"𓀀"}


def test_korean_is_hangul_hanja_and_kana() -> None:
    assert all(map(has_korean, ["가", "ㅋ", "漢", "かな", "カ", "㈜", "ﾡ", "\u1100", "abc 가"]))
    assert not any(map(has_korean, ["", "abc", "1 2", "。、「」", "Ω ж", "😀", "“”…", "\u3000"]))
