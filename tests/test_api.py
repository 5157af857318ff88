"""`from kotrans import Translator`: lazy imports, and every way to name a model."""

import subprocess
import sys
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import pytest

import kotrans
from kotrans import KotransError, Translation, Translator
from kotrans.runs.run import Run
from tests.tiny_run import TinyRun
from tests.tiny_run import kotrans as command

pytestmark = pytest.mark.e2e

LINES = ["저는 새 나무를 봅니다.", "", "우리는 큰 바다를 찾습니다."]


@pytest.fixture
def run(tiny_run: TinyRun, monkeypatch: pytest.MonkeyPatch) -> TinyRun:
    """The shared run, in KOTRANS_RUNS."""
    monkeypatch.setenv("KOTRANS_RUNS", str(tiny_run.runs))
    return tiny_run


@pytest.fixture
def expected(run: TinyRun) -> list[str]:
    return [translation.text for translation in Translator.load("tiny").translations(LINES)]


def test_every_way_to_name_a_model_loads_the_same_one(
    run: TinyRun, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = Run(run.runs / "tiny").checkpoint("best")
    for out in ("folder", "packed.zip"):
        assert command("export", "tiny", tmp_path / out).code == 0
    ways: list[str | Path | None] = [
        None, "tiny", f"tiny/{best.name}", run.runs / "tiny", str(run.runs / "tiny"), best, str(best),
        tmp_path / "folder", str(tmp_path / "folder"), tmp_path / "packed.zip", str(tmp_path / "packed.zip"),
    ]  # fmt: skip
    for way in ways:
        assert Translator.load(way).translate(LINES) == expected, way
    monkeypatch.chdir(tmp_path)
    assert Translator.load("folder").translate(LINES) == Translator.load("packed.zip").translate(LINES) == expected


def test_a_list_of_models_is_an_ensemble(run: TinyRun, expected: list[str]) -> None:
    ensemble = Translator.load(["tiny", run.runs / "tiny"])
    assert ensemble.translate(LINES) == expected
    one = Translator.load("tiny").name
    assert ensemble.name == f"{one} + {one}"


def test_a_string_names_a_run_before_a_folder_and_a_path_never_names_a_run(
    run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny").mkdir()
    monkeypatch.chdir(tmp_path)
    assert Translator.load("tiny").name.startswith("tiny/update-")
    with pytest.raises(KotransError, match="there is no checkpoint here"):
        Translator.load(Path("tiny"))


def test_blank_lines_stay_blank_and_lines_may_be_endless(run: TinyRun, expected: list[str]) -> None:
    assert expected[1] == ""
    assert len({*expected}) == 3

    def endless() -> Iterator[str]:
        return (LINES[number % 3] for number in count())

    found = islice(Translator.load("tiny", settings=["search.batch=4"]).translations(endless()), 6)
    assert [translation.text for translation in found] == expected * 2


def test_line_breaks_inside_a_text_are_kept(run: TinyRun, expected: list[str]) -> None:
    assert Translator.load("tiny").translate(["\n".join(LINES), f"{LINES[0]}\r\n"]) == [
        "\n".join(expected),
        f"{expected[0]}\r\n",
    ]


def test_translations_have_scores_besides_the_text(run: TinyRun, expected: list[str]) -> None:
    first = next(Translator.load("tiny").translations(LINES, n_best=2))
    assert isinstance(first, Translation)
    assert first.text == expected[0]
    scores = [found.score for found in first.hypotheses]
    assert len(scores) == 2
    assert scores == sorted(scores, reverse=True)


def test_settings_are_those_of_the_command_line(run: TinyRun) -> None:
    with pytest.raises(KotransError, match=r"search\.beam keeps 1; set it to 2"):
        list(Translator.load("tiny", settings=["search.beam=1"]).translations(LINES, n_best=2))
    with pytest.raises(KotransError, match="takes settings of `search` and `hardware` only"):
        Translator.load("tiny", settings=["training.max_updates=1"])


def test_lines_are_split_into_sentences_by_default(run: TinyRun) -> None:
    two = [f"{LINES[0]} {LINES[2]}"]
    for settings in ([], ["search.split_sentences=false"], ["search.split_sentences=true"]):
        translator = Translator.load("tiny", settings=settings)
        parts = [next(translator.translations(two, split_sentences=splits)).parts for splits in (None, True, False)]
        assert parts == [1 if settings == ["search.split_sentences=false"] else 2, 2, 1]
    assert translator.translate(two, split_sentences=True) == [" ".join(translator.translate([LINES[0], LINES[2]]))]


def test_one_string_instead_of_a_list_raises_type_error(run: TinyRun) -> None:
    with pytest.raises(TypeError, match="give a list"):
        Translator.load("tiny").translate("나무")


def test_a_missing_model_raises_kotrans_error(run: TinyRun, tmp_path: Path) -> None:
    for missing in ("nobody", tmp_path / "nothing"):
        with pytest.raises(KotransError, match="there is no such"):
            Translator.load(missing)


def test_every_public_name_can_be_imported_and_no_other() -> None:
    assert {name: getattr(kotrans, name) is not None for name in kotrans.__all__} == dict.fromkeys(
        kotrans.__all__, True
    )
    assert set(kotrans.__all__) <= set(dir(kotrans))
    with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
        kotrans.Nonsense  # noqa: B018


def test_the_package_and_the_translator_are_imported_without_torch() -> None:
    program = """
import sys, kotrans
from kotrans import KotransError
print("torch" in sys.modules)
from kotrans import Translator
print("torch" in sys.modules)
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "False\nFalse\n"


def test_one_sentence_imports_nothing_that_it_does_not_need(run: TinyRun) -> None:
    program = """
import gc, sys
from kotrans.cli import main
sys.argv = ["kotrans", "translate", "--run", "tiny", "나무"]
try:
    main()
except SystemExit:
    pass
heavy = {"openpyxl", "httpx", "polib", "lxml", "sacrebleu", "matplotlib", "rich", "torch._dynamo",
         "kotrans.data.prepare_corpus", "kotrans.data.batching", "kotrans.evaluation.metrics", "kotrans.training",
         "onnx", "torch", "tqdm", "filelock", "platformdirs"}
print(sorted(heavy & set(sys.modules)), gc.isenabled())
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.split("\n")[1] == "[] True"
