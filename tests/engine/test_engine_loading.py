"""Which engine translates, and what it needs."""

import logging
import subprocess
import sys
from importlib.util import find_spec

import pytest

from kotrans.config.schema import HardwareConfig
from kotrans.engine import engine_loading
from kotrans.engine.engine_loading import choose_engine
from kotrans.errors import ConfigError
from kotrans.translation.translator import Translator
from tests.tiny_run import TinyRun

SENTENCES = ["저는 새 바다를 좋아합니다.", "그들은 작은 강아지를 찾습니다.", "나무 7"]


def translator_with(tiny_run: TinyRun, *settings: str) -> Translator:
    return Translator.load(tiny_run.runs / "tiny", settings=settings)


def hardware(**settings: str) -> HardwareConfig:
    return HardwareConfig.model_validate(settings)


@pytest.mark.parametrize(
    ("settings", "cuda", "engine"),
    [
        ({}, False, "onnxruntime"),
        ({}, True, "torch"),
        ({"device": "cpu"}, True, "onnxruntime"),
        ({"device": "cuda"}, False, "torch"),
        ({"precision": "bf16"}, False, "torch"),
        ({"precision": "int8"}, False, "onnxruntime"),
        ({"engine": "torch"}, False, "torch"),
        ({"engine": "onnxruntime", "device": "cpu"}, True, "onnxruntime"),
    ],
)
def test_onnxruntime_translates_on_cpus_and_torch_on_gpus(
    settings: dict[str, str], cuda: bool, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_loading, "_has_cuda", lambda: cuda)
    assert choose_engine(hardware(**settings)) == engine


@pytest.mark.parametrize(
    ("settings", "reason"),
    [({"device": "cuda"}, "is only for CPUs here"), ({"precision": "bf16"}, "has no bf16 products")],
)
def test_an_engine_that_cannot_do_what_is_set_is_refused(
    settings: dict[str, str], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_loading, "_has_cuda", lambda: False)
    with pytest.raises(ConfigError, match=rf"^hardware\.engine: onnxruntime {reason}.*; use auto or torch$"):
        choose_engine(hardware(engine="onnxruntime", **settings))


def test_without_onnxruntime_torch_translates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_loading, "_has_cuda", lambda: False)
    monkeypatch.setattr(engine_loading, "find_spec", lambda name: None if name == "onnxruntime" else find_spec(name))
    assert choose_engine(hardware()) == "torch"


def test_both_engines_translate_and_score_alike(tiny_run: TinyRun) -> None:
    found = {name: translator_with(tiny_run, f"hardware.engine={name}") for name in ("onnxruntime", "torch")}
    assert {name: translator.engine for name, translator in found.items()} == {name: name for name in found}
    ours, theirs = (list(translator.translations(SENTENCES, n_best=3)) for translator in found.values())
    for one, other in zip(ours, theirs, strict=True):
        assert [each.text for each in one.hypotheses] == [each.text for each in other.hypotheses]
        for left, right in zip(one.hypotheses, other.hypotheses, strict=True):
            assert left.score == pytest.approx(right.score, abs=1e-4)
    pairs = [(line, "I like the new sea.") for line in SENTENCES]
    for one, other in zip(*(translator.score(pairs) for translator in found.values()), strict=True):
        assert one.hypotheses[0].score == pytest.approx(other.hypotheses[0].score, abs=1e-4)


def test_a_searched_translation_has_the_score_of_the_same_translation_given(tiny_run: TinyRun) -> None:
    translator = translator_with(tiny_run, "search.copying=none", "search.split_sentences=false")
    for found in translator.translations(SENTENCES[:2]):
        best = found.hypotheses[0]
        (given,) = translator.score([(found.source, best.text)])
        if given.hypotheses[0].pieces == best.pieces:  # another segmentation of the same text has another score
            assert given.hypotheses[0].score == pytest.approx(best.score, abs=1e-4)


def test_a_shortlist_limits_the_pieces_of_a_translation(tiny_run: TinyRun) -> None:
    whole, listed = (translator_with(tiny_run, f"search.shortlist={size}") for size in ("null", 1))
    vocabulary = whole.tokenizer
    sources = [[*ids, 2] for ids in vocabulary.source.encode(SENTENCES)]
    shortlist = listed.spec.models[0].load_files().shortlist
    assert shortlist is not None
    for source, found in zip(sources, listed.translations(SENTENCES), strict=True):
        allowed = set(vocabulary.target.pieces(shortlist.pieces(source, 1).tolist()))
        assert {piece for piece in found.hypotheses[0].pieces if piece != "</s>"} <= allowed
    texts = [each.text for each in whole.translations(SENTENCES)]
    assert [each.text for each in listed.translations(SENTENCES)] != texts
    most = translator_with(tiny_run, "search.shortlist=100")
    assert [each.text for each in most.translations(SENTENCES)] == texts


def test_a_shortlist_with_torch_is_a_warning(tiny_run: TinyRun, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        translator_with(tiny_run, "search.shortlist=50", "hardware.engine=torch")
    assert "search.shortlist is only for onnxruntime on a CPU; searching among all pieces" in caplog.text


def test_loading_and_translating_imports_no_torch(tiny_run: TinyRun) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom kotrans import Translator\n"
        f"found = Translator.load(Path({str(tiny_run.runs / 'tiny')!r}))\n"
        "found.translate(['나무']), list(found.score([('나무', 'tree')]))\n"
        "print([name for name in sys.modules if name.partition('.')[0] == 'torch'])\n"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
