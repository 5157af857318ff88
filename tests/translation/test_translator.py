"""Text to text: what a line becomes depends on the line alone."""

import threading
import unicodedata
from collections.abc import Iterator, Sequence
from random import Random

import pytest
import torch
from torch import Tensor

from kotrans.config.schema import SearchConfig
from kotrans.errors import ModelError, UsageError
from kotrans.search.beam import search
from kotrans.search.hypotheses import Hypothesis
from kotrans.serve.responses import attention_of_parts
from kotrans.storage.files import read_lines
from kotrans.text.normalization import normalize
from kotrans.text.subwords import word_text
from kotrans.translation.continuous_batching import ContinuousTranslator, SearchRequest
from kotrans.translation.copies import words_copied
from kotrans.translation.model_loading import load_runs
from kotrans.translation.postprocess import LinePart, PreparedLine, Translation, translation_record
from kotrans.translation.translator import BatchTranslator
from tests.processors import INT8
from tests.tiny_run import TinyRun, kotrans, write_config

MEMORY = 100_000_000
LONG = " ".join(["저는 새 나무를 보고"] * 9)  # one sentence


@pytest.fixture(scope="module")
def translator(tiny_run: TinyRun) -> BatchTranslator:
    return translator_with(tiny_run)


@pytest.fixture(scope="module")
def sources(tiny_run: TinyRun) -> list[str]:
    lines = read_lines(tiny_run.folder / "test.ko")[:24]
    return [*lines[:8], "", *lines[8:], LONG, "나무", "   ", "처음 보는 낱말 zebra 🌳"]


def translator_with(tiny_run: TinyRun, *settings: str) -> BatchTranslator:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KOTRANS_RUNS", str(tiny_run.runs))
        return load_runs(["tiny"], settings).translator


def assert_same(found: Sequence[Translation], expected: Sequence[Translation]) -> None:
    """Texts and pieces are equal; scores are, but for the rounding of sums of other shapes."""
    assert [each.source for each in found] == [each.source for each in expected]
    for one, other in zip(found, expected, strict=True):
        assert [best.text for best in one.hypotheses] == [best.text for best in other.hypotheses]
        for best, same in zip(one.hypotheses, other.hypotheses, strict=True):
            assert best.pieces == same.pieces
            assert best.score == pytest.approx(same.score, abs=1e-5)
            assert best.token_log_probs == pytest.approx(same.token_log_probs, abs=1e-4)


@pytest.mark.parametrize("beam", [1, 4])
@pytest.mark.parametrize("batch", [1, 3])
def test_batch_size_chunks_and_neighbours_change_nothing(
    beam: int, batch: int, tiny_run: TinyRun, sources: list[str]
) -> None:
    expected = list(translator_with(tiny_run, f"search.beam={beam}").translate(sources, n_best=beam))
    assert len({each.text for each in expected}) > 5
    # With 16 batches read ahead, a batch of 1 cuts these lines into chunks.
    small = translator_with(tiny_run, f"search.beam={beam}", f"search.batch={batch}")
    assert_same(list(small.translate(sources, n_best=beam)), expected)
    backwards = list(small.translate(reversed(sources), n_best=beam))
    assert_same(backwards[::-1], expected)
    assert_same(list(small.translate(sources[5:6], n_best=beam)), expected[5:6])


def test_threads_divide_the_batches_and_change_nothing(tiny_run: TinyRun, sources: list[str]) -> None:
    expected = list(translator_with(tiny_run, "search.batch=3").translate(sources * 2, n_best=2))
    threads: set[tuple[int, int]] = set()
    divided = translator_with(tiny_run, "search.batch=3", "hardware.threads=3")
    whole = divided.stepper.start

    def start(source: Tensor, mask: Tensor) -> object:
        threads.add((threading.get_ident(), torch.get_num_threads()))
        return whole(source, mask)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(divided.stepper, "start", start)
        assert_same(list(divided.translate(sources * 2, n_best=2)), expected)
    assert len(threads) > 1
    assert {inside for _, inside in threads} == {1}


def test_lines_that_join_a_running_search_get_what_they_get_alone(tiny_run: TinyRun, sources: list[str]) -> None:
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
        assert_same([found[number]], list(translator_with(tiny_run, f"search.beam={beam}").translate([line], n_best)))


def test_parts_of_a_line_stand_in_their_order_whichever_is_done_first(tiny_run: TinyRun, sources: list[str]) -> None:
    translator, line = translator_with(tiny_run), f"{LONG}. {sources[0]} 나무."
    running, done = ContinuousTranslator(translator, MEMORY), list[Translation]()
    running.add([SearchRequest(0, translator.prepare([line])[0], 1, 1)])
    while not done:
        done = [answer for _, answer in running.step(1)]
    (joined,) = done
    assert joined.parts > 2
    assert_same([joined], list(translator_with(tiny_run, "search.beam=1").translate([line])))


@pytest.mark.parametrize("precision", ["bf16", pytest.param("int8", marks=INT8)])
def test_a_lower_precision_is_taken_only_when_told_and_hardly_moves_a_score(
    tiny_run: TinyRun, sources: list[str], precision: str
) -> None:
    exact = [each.hypotheses[0] for each in translator_with(tiny_run).translate(sources)]
    told = [
        each.hypotheses[0] for each in translator_with(tiny_run, f"hardware.precision={precision}").translate(sources)
    ]
    assert [best.score for best in told] != [best.score for best in exact]
    near = [
        best.token_log_probs[0] == pytest.approx(other.token_log_probs[0], abs=0.1)
        for best, other in zip(told, exact, strict=True)
        if best.pieces and best.pieces == other.pieces
    ]
    assert len(near) > len(sources) / 2
    assert all(near)


def test_the_ensemble_of_a_run_with_itself_is_the_run(tiny_run: TinyRun, sources: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KOTRANS_RUNS", str(tiny_run.runs))
        alone, twice = load_runs(["tiny"]).translator, load_runs(["tiny", "tiny"]).translator
    assert_same(list(twice.translate(sources, 3)), list(alone.translate(sources, 3)))


def test_a_blank_line_has_one_blank_translation(translator: BatchTranslator) -> None:
    for blank in ("", " ", "\u3000\u200b", "\x00"):
        (translation,) = translator.translate([blank], n_best=3)
        assert (translation.source, translation.text, translation.parts) == (blank, "", 0)
        assert len(translation.hypotheses) == 1


def test_a_long_line_is_cut_before_words_and_nothing_is_lost(translator: BatchTranslator) -> None:
    source, most = translator.tokenizer.source, translator.max_pieces
    lengths = set()
    for before in range(5):  # so that the longest part would sometimes end inside a word
        (ids,) = source.encode(["나무를 " * before + LONG])
        parts = translator._parts(ids)
        lengths |= {len(part.ids) for part in parts[:-1]}
        assert len(parts) > 2
        assert [piece for part in parts for piece in part.ids] == ids
        assert all(source.pieces(part.ids)[0].startswith("▁") for part in parts)
    assert most / 2 < min(lengths) < max(lengths) <= most
    (wordless,) = source.encode(["가" * 100])
    assert max(len(part.ids) for part in translator._parts(wordless)) == most


def test_a_long_line_is_one_line_of_what_its_parts_are(translator: BatchTranslator) -> None:
    (whole,) = translator.translate([LONG])
    (ids,) = translator.tokenizer.source.encode([LONG])
    texts = [translator.tokenizer.source.decode(part.ids) for part in translator._parts(ids)]
    alone = list(translator.translate(texts))
    assert whole.parts == len(texts) > 2
    assert whole.cut
    assert whole.text == " ".join(part.text for part in alone if part.text)
    assert whole.hypotheses[0].score == pytest.approx(sum(part.hypotheses[0].score for part in alone) / len(alone))
    assert whole.hypotheses[0].log_prob == pytest.approx(sum(part.hypotheses[0].log_prob for part in alone))


def test_sentences_of_a_line_are_translated_one_by_one_and_stand_as_far_apart_as_they_did(
    translator: BatchTranslator, sources: list[str]
) -> None:
    alone = list(translator.translate(sources[:3]))
    (whole,) = translator.translate([f"  {sources[0]}   {sources[1]} {sources[2]}\n"])
    assert whole.parts == 3
    assert not whole.cut
    assert whole.text == f"{alone[0].text}   {alone[1].text} {alone[2].text}"
    (odd,) = translator.translate([f"{sources[0]}\u2028{sources[1]}\t\t{sources[2]}"])
    assert odd.text == " ".join(translation.text for translation in alone)


@pytest.mark.parametrize(
    ("typed", "clean"),
    [
        (unicodedata.normalize("NFD", "가. 나무를 봅니다. 우유를 찾습니다."), "가. 나무를 봅니다. 우유를 찾습니다."),
        ("저는 나무를 봅니다.\u200b 우유를\ufeff 찾습니다.", "저는 나무를 봅니다. 우유를 찾습니다."),
        ("저는 나무를 봅니다.\u3164우유를 찾습니다.", "저는 나무를 봅니다. 우유를 찾습니다."),
    ],
)  # fmt: skip
def test_sentences_end_where_they_end_in_the_normalised_line(
    typed: str, clean: str, translator: BatchTranslator
) -> None:
    found, expected = translator.translate([typed, clean])
    assert (found.text, found.parts) == (expected.text, 2)


def test_a_line_of_many_sentences_holds_no_weights_between_them(translator: BatchTranslator) -> None:
    (found,) = translator.translate(["나무를 봅니다. " * 300])
    weights = found.hypotheses[0].weights_of_parts
    assert len(weights) == found.parts == 300
    assert sum(each.numel() for each in weights) < 300 * 20 * 40


def test_at_least_one_translation_is_asked_for(translator: BatchTranslator) -> None:
    with pytest.raises(UsageError, match="n-best: 0 translations were requested"):
        list(translator.translate(["나무"], n_best=0))


def test_attention_of_a_long_line_stays_within_its_parts(translator: BatchTranslator) -> None:
    (whole,) = translator.translate([LONG])
    best = whole.hypotheses[0]
    assert best.weights is not None
    assert best.weights.shape == (len(best.pieces), len(whole.source_pieces))
    ends = [i + 1 for i, piece in enumerate(whole.source_pieces) if piece == "</s>"]
    assert len(ends) == whole.parts
    assert best.weights[0, : ends[0]].sum().item() == pytest.approx(1, abs=1e-5)
    assert best.weights[0, ends[0] :].abs().max().item() == 0
    assert best.weights[-1, ends[-2] :].sum().item() == pytest.approx(1, abs=1e-5)


def test_a_model_that_spells_line_ends_still_gives_one_clean_line(
    translator: BatchTranslator, monkeypatch: pytest.MonkeyPatch
) -> None:
    spelt = Hypothesis((5,), -1.0, -1.0, (-1.0, -1.0), None, True)
    monkeypatch.setattr(translator.tokenizer.target, "decode", lambda ids: " a\nb\r\n\x00\x1b[31mc\u2028d\u200b ")
    text = translator.assembler.assemble(PreparedLine("나무", [LinePart([5], "")], cut=False), [[spelt]], 1).text
    assert text == "a b [31mc d" == normalize(text)


def test_a_text_that_several_hypotheses_spell_is_one_translation_with_the_best_score(
    translator: BatchTranslator, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [Hypothesis((piece,), score, score, (score, 0.0), None, True) for piece, score in [(5, -1.0), (6, -2.0)]]
    for said, scores in [("same", [-1.0]), (None, [-1.0, -2.0])]:
        monkeypatch.setattr(translator.tokenizer.target, "decode", lambda ids, said=said: said or f"piece {ids[0]}")
        translation = translator.assembler.assemble(PreparedLine("나무", [LinePart([5], "")], cut=False), [found], 2)
        assert [each.score for each in translation.hypotheses] == scores


def test_the_whole_beam_is_asked_for_only_where_the_source_has_a_literal(
    tiny_run: TinyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    translator = translator_with(tiny_run, "search.beam=3")
    asked: dict[int, int] = {}

    def searched(stepper: object, source: Tensor, mask: Tensor, config: SearchConfig, n_best: list[int]) -> object:
        asked.update(zip(mask.sum(1).tolist(), n_best, strict=True))
        return search(translator.stepper, source, mask, config, n_best)

    monkeypatch.setattr("kotrans.translation.translator.search", searched)
    lines = ["나무", "나무 나무 나무", "나무 7 나무 나무 나무 나무"]
    assert len(list(translator.translate(lines))) == 3
    assert [asked[length] for length in sorted(asked)] == [1, 1, 3]


def misspelling(translator: BatchTranslator, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Makes it translate every sentence with "a zebr", which looks at the source's second word; gives the ids."""
    (ids,) = translator.tokenizer.target.encode(["a zebr"])

    def found(sources: Sequence[Sequence[int]], n_best: int, shares: int) -> Iterator[list[Hypothesis]]:
        for source in sources:
            word = next(i for i, piece in enumerate(translator.tokenizer.source.pieces(source)) if i and "▁" in piece)
            weights = torch.zeros(len(ids) + 1, len(source) + 1)
            weights[:, word : len(source)] = 1 / (len(source) - word)
            yield [Hypothesis(tuple(ids), -1.0, -2.0, (-1.0,) * len(weights), weights, True)]

    monkeypatch.setattr(translator, "_search", found)
    return ids


def test_text_has_what_was_copied_and_the_pieces_stay_what_the_model_said(
    tiny_run: TinyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    translator = translator_with(tiny_run)
    ids = misspelling(translator, monkeypatch)
    (translation,) = translator.translate(["나무 zebra.  나무 zebra."])
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


def test_nothing_is_copied_when_told_or_into_a_translation_that_is_given(
    tiny_run: TinyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = translator_with(tiny_run, "search.copying=false")
    misspelling(plain, monkeypatch)
    best = next(plain.translate(["나무 zebra."])).hypotheses[0]
    assert (best.text, best.copies) == ("a zebr", ())
    monkeypatch.setattr("kotrans.translation.postprocess.copy_over", None)
    (scored,) = translator_with(tiny_run).score([("나무 zebra", "a zebr")])
    assert (scored.text, scored.hypotheses[0].copies) == ("a zebr", ())


def test_location_refuses_what_it_has_no_positions_for_and_names_the_line(
    tiny_run: TinyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOTRANS_RUNS", str(tiny_run.folder / "others"))
    settings = ("attention.score=location", "attention.max_source_length=20", "training.max_updates=2")
    config = write_config(tiny_run.folder, "location")
    trained = kotrans("train", "-c", config, *(word for each in settings for word in ("--set", each)))
    assert trained.code == 0, trained.err
    with pytest.raises(ModelError, match=r"line 70: \d+ source pieces.*max_source_length 20; shorten the line"):
        list(load_runs(["location"], ["search.batch=4"]).translator.translate([*["나무"] * 69, LONG]))
    result = kotrans("translate", "나무", LONG, "--run", "location")
    assert (result.code, result.out) == (1, "")
    assert "error: line 2: " in result.err
    too_short = kotrans(
        "prepare", "-c", config, "--set", "attention.score=location", "--set", "attention.max_source_length=3"
    )
    assert too_short.code == 1
    assert "attention.max_source_length 3; raise it" in too_short.err


def test_an_ensemble_wants_one_vocabulary_and_attention_wants_a_score(
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
