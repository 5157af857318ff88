"""Translator: the translation of a line depends on that line only."""

import threading
import unicodedata
from collections.abc import Sequence
from random import Random

import numpy as np
import pytest

from kotrans.config.schema import SearchConfig
from kotrans.engine.precision import Probe
from kotrans.engine.stepper import Booleans, Ints
from kotrans.errors import ModelError, UsageError
from kotrans.search.beam import search
from kotrans.search.hypotheses import Hypothesis
from kotrans.serve.responses import attention_of_parts
from kotrans.storage.files import read_lines
from kotrans.text.normalization import normalize
from kotrans.text.subwords import word_text
from kotrans.translation.continuous_batching import ContinuousTranslator, SearchRequest
from kotrans.translation.copies import words_copied
from kotrans.translation.postprocess import LinePart, PreparedLine, Translation, translation_record
from kotrans.translation.translator import Translator
from kotrans.translation.units import parts_of
from tests.tiny_run import TinyRun, kotrans, write_config

MEMORY = 100_000_000
LONG = " ".join(["저는 새 나무를 보고"] * 9)  # one sentence


@pytest.fixture(scope="module")
def translator(tiny_run: TinyRun) -> Translator:
    return translator_with(tiny_run)


@pytest.fixture(scope="module")
def sources(tiny_run: TinyRun) -> list[str]:
    lines = read_lines(tiny_run.folder / "test.ko")[:24]
    return [*lines[:8], "", *lines[8:], LONG, "나무", "   ", "처음 보는 낱말 zebra 🌳"]


def translator_with(tiny_run: TinyRun, *settings: str) -> Translator:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KOTRANS_RUNS", str(tiny_run.runs))
        return Translator.load("tiny", settings=settings)


def assert_same(found: Sequence[Translation], expected: Sequence[Translation]) -> None:
    """Compares texts and pieces exactly, and scores up to the rounding of batches of other shapes."""
    assert [each.source for each in found] == [each.source for each in expected]
    for one, other in zip(found, expected, strict=True):
        assert [best.text for best in one.hypotheses] == [best.text for best in other.hypotheses]
        for best, same in zip(one.hypotheses, other.hypotheses, strict=True):
            assert best.pieces == same.pieces
            assert best.score == pytest.approx(same.score, abs=1e-5)
            assert best.token_log_probs == pytest.approx(same.token_log_probs, abs=1e-4)


@pytest.mark.parametrize("beam", [1, 4])
@pytest.mark.parametrize("batch", [1, 3])
def test_batch_size_chunks_and_neighbours_do_not_change_translations(
    beam: int, batch: int, tiny_run: TinyRun, sources: list[str]
) -> None:
    expected = list(translator_with(tiny_run, f"search.beam={beam}").translations(sources, n_best=beam))
    assert len({each.text for each in expected}) > 5
    # With 16 batches read ahead, a batch of 1 cuts these lines into chunks.
    small = translator_with(tiny_run, f"search.beam={beam}", f"search.batch={batch}")
    assert_same(list(small.translations(sources, n_best=beam)), expected)
    backwards = list(small.translations(reversed(sources), n_best=beam))
    assert_same(backwards[::-1], expected)
    assert_same(list(small.translations(sources[5:6], n_best=beam)), expected[5:6])


def test_threads_share_the_batches_and_do_not_change_translations(tiny_run: TinyRun, sources: list[str]) -> None:
    expected = list(translator_with(tiny_run, "search.batch=3").translations(sources * 2, n_best=2))
    threads: set[int] = set()
    divided = translator_with(tiny_run, "search.batch=3", "hardware.threads=3")
    whole = divided.stepper.start

    def start(source: Ints, mask: Booleans) -> object:
        threads.add(threading.get_ident())
        return whole(source, mask)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(divided.stepper, "start", start)
        assert_same(list(divided.translations(sources * 2, n_best=2)), expected)
    assert len(threads) > 1


def test_lines_that_join_a_running_search_have_the_same_translations_as_alone(
    tiny_run: TinyRun, sources: list[str]
) -> None:
    translator, random = translator_with(tiny_run), Random(1)
    running, found = ContinuousTranslator(translator, MEMORY), dict[int, Translation]()
    lines = [(line, beam, random.randint(1, beam)) for line in [*sources, " ".join(sources)] for beam in (1, 3)]
    queue = [
        SearchRequest(number, translator.prepare([line])[0], beam, n_best)
        for number, (line, beam, n_best) in enumerate(lines)
    ]
    random.shuffle(queue)
    while len(found) < len(lines):
        running.add([queue.pop() for _ in range(min(random.randint(0, 4), len(queue)))])
        found |= dict(running.step(random.randint(1, 9)))
    for number, (line, beam, n_best) in enumerate(lines):
        assert_same(
            [found[number]], list(translator_with(tiny_run, f"search.beam={beam}").translations([line], n_best))
        )


def test_parts_of_a_line_are_joined_in_order_whichever_finishes_first(tiny_run: TinyRun, sources: list[str]) -> None:
    translator, line = translator_with(tiny_run), f"{LONG}. {sources[0]} 나무."
    running, done = ContinuousTranslator(translator, MEMORY), list[Translation]()
    running.add([SearchRequest(0, translator.prepare([line])[0], 1, 1)])
    while not done:
        done = [answer for _, answer in running.step(1)]
    (joined,) = done
    assert joined.parts > 2
    assert_same([joined], list(translator_with(tiny_run, "search.beam=1").translations([line])))


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_a_lower_precision_must_be_set_and_changes_scores_little(
    tiny_run: TinyRun, sources: list[str], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On this processor, or with such a small model, it may be slower than fp32.
    monkeypatch.setattr("kotrans.engine.engine_loading.multiplies_bf16", lambda: True)
    monkeypatch.setattr("kotrans.engine.precision.time_products", lambda *_: Probe(63, 2.0))
    exact, lower = translator_with(tiny_run), translator_with(tiny_run, f"hardware.precision={precision}")
    pairs = list(zip(sources, exact.translate(sources), strict=True))
    scored, again = (
        np.concatenate([each.hypotheses[0].token_log_probs for each in model.score(pairs)]) for model in (exact, lower)
    )
    assert (scored != again).any()
    assert np.abs(scored - again).mean() < 0.05


def test_the_ensemble_of_a_run_with_itself_translates_as_the_run(tiny_run: TinyRun, sources: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KOTRANS_RUNS", str(tiny_run.runs))
        alone, twice = Translator.load("tiny"), Translator.load(["tiny", "tiny"])
    assert_same(list(twice.translations(sources, 3)), list(alone.translations(sources, 3)))


def test_a_blank_line_has_one_blank_translation(translator: Translator) -> None:
    for blank in ("", " ", "\u3000\u200b", "\x00"):
        (translation,) = translator.translations([blank], n_best=3)
        assert (translation.source, translation.text, translation.parts) == (blank, "", 0)
        assert len(translation.hypotheses) == 1


def test_a_long_line_is_cut_before_words_and_keeps_all_pieces(translator: Translator) -> None:
    source, most = translator.tokenizer.source, translator.max_pieces
    lengths = set()
    for before in range(5):  # so that the longest part would sometimes end inside a word
        (ids,) = source.encode(["나무를 " * before + LONG])
        parts = parts_of(ids, most, source)
        lengths |= {len(part.ids) for part in parts[:-1]}
        assert len(parts) > 2
        assert [piece for part in parts for piece in part.ids] == ids
        assert all(source.pieces(part.ids)[0].startswith("▁") for part in parts)
    assert most / 2 < min(lengths) < max(lengths) <= most
    (wordless,) = source.encode(["가" * 100])
    assert max(len(part.ids) for part in parts_of(wordless, most, source)) == most


def test_the_translation_of_a_long_line_joins_those_of_its_parts(translator: Translator) -> None:
    (whole,) = translator.translations([LONG])
    (ids,) = translator.tokenizer.source.encode([LONG])
    texts = [
        translator.tokenizer.source.decode(part.ids)
        for part in parts_of(ids, translator.max_pieces, translator.tokenizer.source)
    ]
    alone = list(translator.translations(texts))
    assert whole.parts == len(texts) > 2
    assert whole.cut
    assert whole.text == " ".join(part.text for part in alone if part.text)
    assert whole.hypotheses[0].score == pytest.approx(sum(part.hypotheses[0].score for part in alone) / len(alone))
    assert whole.hypotheses[0].log_prob == pytest.approx(sum(part.hypotheses[0].log_prob for part in alone))


def test_sentences_of_a_line_are_translated_separately_and_keep_the_spaces_between_them(
    translator: Translator, sources: list[str]
) -> None:
    alone = list(translator.translations(sources[:3]))
    (whole,) = translator.translations([f"  {sources[0]}   {sources[1]} {sources[2]}\n"])
    assert whole.parts == 3
    assert not whole.cut
    assert whole.text == f"{alone[0].text}   {alone[1].text} {alone[2].text}"
    (odd,) = translator.translations([f"{sources[0]}\u2028{sources[1]}\t\t{sources[2]}"])
    assert odd.text == " ".join(translation.text for translation in alone)


@pytest.mark.parametrize(
    ("typed", "clean"),
    [
        (unicodedata.normalize("NFD", "가. 나무를 봅니다. 우유를 찾습니다."), "가. 나무를 봅니다. 우유를 찾습니다."),
        ("저는 나무를 봅니다.\u200b 우유를\ufeff 찾습니다.", "저는 나무를 봅니다. 우유를 찾습니다."),
        ("저는 나무를 봅니다.\u3164우유를 찾습니다.", "저는 나무를 봅니다. 우유를 찾습니다."),
    ],
)  # fmt: skip
def test_sentences_are_split_in_the_normalised_line(typed: str, clean: str, translator: Translator) -> None:
    found, expected = translator.translations([typed, clean])
    assert (found.text, found.parts) == (expected.text, 2)


def test_a_line_of_many_sentences_stores_no_weights_between_them(translator: Translator) -> None:
    (found,) = translator.translations(["나무를 봅니다. " * 300])
    weights = found.hypotheses[0].weights_of_parts
    assert len(weights) == found.parts == 300
    assert sum(each.size for each in weights) < 300 * 20 * 40


def test_an_n_best_of_0_raises_usage_error(translator: Translator) -> None:
    with pytest.raises(UsageError, match="n-best: 0 translations were requested"):
        list(translator.translations(["나무"], n_best=0))


def test_attention_of_a_long_line_stays_within_its_parts(translator: Translator) -> None:
    (whole,) = translator.translations([LONG])
    best = whole.hypotheses[0]
    assert best.weights is not None
    assert best.weights.shape == (len(best.pieces), len(whole.source_pieces))
    ends = [i + 1 for i, piece in enumerate(whole.source_pieces) if piece == "</s>"]
    assert len(ends) == whole.parts
    assert best.weights[0, : ends[0]].sum().item() == pytest.approx(1, abs=1e-5)
    assert not best.weights[0, ends[0] :].any()
    assert best.weights[-1, ends[-2] :].sum().item() == pytest.approx(1, abs=1e-5)


def test_line_ends_and_control_characters_in_pieces_are_removed(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    spelt = Hypothesis((5,), -1.0, -1.0, (-1.0, -1.0), None, True)
    monkeypatch.setattr(translator.tokenizer.target, "decode", lambda ids: " a\nb\r\n\x00\x1b[31mc\u2028d\u200b ")
    text = translator.postprocessor.assemble(PreparedLine("나무", [LinePart([5], "")], cut=False), [[spelt]], 1).text
    assert text == "a b [31mc d" == normalize(text)


def test_hypotheses_with_the_same_text_are_one_translation_with_the_best_score(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [Hypothesis((piece,), score, score, (score, 0.0), None, True) for piece, score in [(5, -1.0), (6, -2.0)]]
    for said, scores in [("same", [-1.0]), (None, [-1.0, -2.0])]:
        monkeypatch.setattr(translator.tokenizer.target, "decode", lambda ids, said=said: said or f"piece {ids[0]}")
        translation = translator.postprocessor.assemble(
            PreparedLine("나무", [LinePart([5], "")], cut=False), [found], 2
        )
        assert [each.score for each in translation.hypotheses] == scores


def test_the_search_returns_the_whole_beam_only_for_a_source_with_a_literal(
    tiny_run: TinyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    translator = translator_with(tiny_run, "search.beam=3")
    asked: dict[int, int] = {}

    def searched(
        stepper: object, source: Ints, mask: Booleans, config: SearchConfig, n_best: list[int], constraints: object
    ) -> object:  # fmt: skip
        asked.update(zip(mask.sum(1).tolist(), n_best, strict=True))
        return search(translator.stepper, source, mask, config, n_best)

    monkeypatch.setattr("kotrans.translation.translator.search", searched)
    lines = ["나무", "나무 나무 나무", "나무 7 나무 나무 나무 나무"]
    assert len(list(translator.translations(lines))) == 3
    assert [asked[length] for length in sorted(asked)] == [1, 1, 3]


def misspelling(translator: Translator, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Makes the search find "a zebr" for every sentence, with attention on its second word. Returns the ids."""
    (ids,) = translator.tokenizer.target.encode(["a zebr"])

    def hypothesis(source: list[int]) -> Hypothesis:
        word = next(i for i, piece in enumerate(translator.tokenizer.source.pieces(source)) if i and "▁" in piece)
        weights = np.zeros((len(ids) + 1, len(source) + 1), np.float32)
        weights[:, word : len(source)] = 1 / (len(source) - word)
        return Hypothesis(tuple(ids), -1.0, -2.0, (-1.0,) * len(weights), weights, True)

    def search_stub(stepper: object, source: Ints, mask: Booleans, *_: object) -> list[list[Hypothesis]]:
        return [[hypothesis(row[real][:-1].tolist())] for row, real in zip(source, mask, strict=True)]

    monkeypatch.setattr("kotrans.translation.translator.search", search_stub)
    return ids


def test_copies_change_the_text_but_not_the_pieces(tiny_run: TinyRun, monkeypatch: pytest.MonkeyPatch) -> None:
    translator = translator_with(tiny_run)
    ids = misspelling(translator, monkeypatch)
    (translation,) = translator.translations(["나무 zebra.  나무 zebra."])
    best = translation.hypotheses[0]
    assert best.text == "a zebra  a zebra"
    said = (*translator.tokenizer.target.pieces(ids), "</s>")
    assert best.pieces == said * 2
    assert [(copy.said, copy.copied) for copy in best.copies] == [("zebr", "zebra")] * 2
    assert [word_text(best.pieces[copy.begin : copy.end]) for copy in best.copies] == ["zebr"] * 2
    assert words_copied(best.pieces, best.copies) == ["a", "zebra", "</s>"] * 2
    recorded = translation_record(translation)["hypotheses"][0]["copies"]
    assert [range(copy["begin"], copy["end"]) for copy in recorded] == [range(*copy[:2]) for copy in best.copies]
    assert [(copy["said"], copy["copied"]) for copy in recorded] == [("zebr", "zebra")] * 2
    shown = attention_of_parts(translation, best)
    assert [part.target_words for part in shown] == [["a", "zebra", "</s>"]] * 2


def test_nothing_is_copied_if_copying_is_off_or_a_translation_is_given(
    tiny_run: TinyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = translator_with(tiny_run, "search.copying=false")
    misspelling(plain, monkeypatch)
    best = next(plain.translations(["나무 zebra."])).hypotheses[0]
    assert (best.text, best.copies) == ("a zebr", ())
    monkeypatch.setattr("kotrans.translation.postprocess.copy_literals", None)
    (scored,) = translator_with(tiny_run).score([("나무 zebra", "a zebr")])
    assert (scored.text, scored.hypotheses[0].copies) == ("a zebr", ())


def test_a_line_too_long_for_location_attention_is_an_error_that_names_the_line(
    tiny_run: TinyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOTRANS_RUNS", str(tiny_run.folder / "others"))
    settings = ("attention.score=location", "attention.max_source_length=20", "training.max_updates=2")
    config = write_config(tiny_run.folder, "location")
    trained = kotrans("train", "-c", config, *(word for each in settings for word in ("--set", each)))
    assert trained.code == 0, trained.err
    with pytest.raises(ModelError, match=r"line 70: \d+ source pieces.*max_source_length 20; shorten the line"):
        list(Translator.load("location", settings=["search.batch=4"]).translations([*["나무"] * 69, LONG]))
    result = kotrans("translate", "나무", LONG, "--run", "location")
    assert (result.code, result.out) == (1, "")
    assert "error: line 2: " in result.err
    too_short = kotrans(
        "prepare", "-c", config, "--set", "attention.score=location", "--set", "attention.max_source_length=3"
    )
    assert too_short.code == 1
    assert "attention.max_source_length 3; raise it" in too_short.err


def test_an_ensemble_of_two_vocabularies_and_weights_of_a_model_without_attention_are_errors(
    tiny_run: TinyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOTRANS_RUNS", str(tiny_run.folder / "others"))
    for name, setting in (("none", "attention.score=none"), ("other", "tokenizer.vocabulary_size=330")):
        trained = kotrans(
            "train", "-c", write_config(tiny_run.folder, name), "--set", setting, "--set", "training.max_updates=2"
        )
        assert trained.code == 0, trained.err
    result = kotrans("translate", "나무", "--run", "none", "--run", "other")
    assert (result.code, result.out) == (1, "")
    assert "error: an ensemble needs one vocabulary, but none and other have tokenizers" in result.err
    unseen = kotrans("translate", "나무", "--run", "none", "--attention", tiny_run.folder / "a.jsonl")
    assert (unseen.code, unseen.out) == (1, "")
    assert "no attention weights" in unseen.err
    assert not (tiny_run.folder / "a.jsonl").exists()
