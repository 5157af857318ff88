"""`kotrans bench`: measurements of a config, with its dataset or with random pairs."""

import json
import threading
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from kotrans.config.loading import load_config
from kotrans.data.stages import find_prepared
from tests.tiny_run import TinyRun, kotrans, write_config

pytestmark = pytest.mark.e2e

FP32 = ["--set", "hardware.precision=fp32", "--seconds", "1"]
TINY = ["--set", "hardware.threads=1", "--set", "hardware.device=cpu", *FP32]


@pytest.fixture(scope="module")
def figures(tiny_run: TinyRun, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Measurements of the config that `tiny` was trained with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KOTRANS_RUNS", str(tiny_run.runs))
        result = kotrans("bench", "-c", tiny_run.folder / "tiny.yaml", "--against", "plain", "--json", *FP32)
    assert result.code == 0, result.err
    found: dict[str, Any] = json.loads(result.out)
    return found


def test_the_measurements_are_consistent(figures: dict[str, Any]) -> None:
    training, peak = figures["training"], figures["peak"]
    assert list(training["phases"]) == ["data", "forward", "backward", "optimizer"]
    assert min(training["phases"].values()) >= 0
    assert sum(training["phases"].values()) == pytest.approx(training["seconds"])
    assert sum(training["shares"].values()) == pytest.approx(1)
    assert training["tokens_per_second"] == pytest.approx(training["target_tokens"] / training["seconds"])
    assert training["share_of_peak"] == pytest.approx(training["flops_per_second"] / peak["flops_per_second"])
    assert 0 < training["share_of_peak"] < 1  # never above the peak of the machine
    assert figures["memory"]["resident"] > 20e6
    assert figures["memory"]["cuda"] is None
    assert figures["against_plain"]["lower"] <= figures["against_plain"]["upper"]
    kinds = {(each["beam"], each["batch"], each["precision"]) for each in figures["search"]}
    assert kinds >= {*product((1, 5), (64, 1), ["fp32", "int8"])}


def test_the_dataset_of_the_config_is_used_if_it_is_prepared(figures: dict[str, Any], tiny_run: TinyRun) -> None:
    folders = [path.name for path in (tiny_run.runs / "prepared").glob("dataset-*")]
    assert (figures["data"]["kind"], figures["data"]["pairs"]) == ("prepared", 480)
    assert figures["data"]["name"] in folders
    assert (figures["config"], figures["precision"], figures["machine"]["threads"]) == ("tiny", "fp32", 1)


def test_synthetic_pairs_are_used_on_request(run: TinyRun) -> None:
    result = kotrans("bench", "-c", run.folder / "tiny.yaml", "--data", "synthetic", *FP32)
    assert "pairs: random pieces, lengths log-normal" in result.out
    assert "plain path" not in result.out


def test_without_a_corpus_nothing_is_fetched_or_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOTRANS_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("KOTRANS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KOTRANS_MIRROR", str(tmp_path / "nowhere"))
    small = [f"--set={section}.{key}=8" for section in ("encoder", "decoder") for key in ("hidden_size",)]
    widths = [
        *small,
        "--set",
        "embeddings.size=8",
        "--set",
        "attention.size=8",
        "--set",
        "tokenizer.vocabulary_size=400",
    ]
    result = kotrans("bench", "-c", "configs/tatoeba.yaml", *TINY, *widths)
    assert result.code == 0, result.err
    assert "synthetic pairs" in result.out
    assert list(tmp_path.iterdir()) == []
    assert [thread.name for thread in threading.enumerate() if thread.name == "batches"] == []


def test_a_dataset_is_found_only_if_all_its_stages_exist(run: TinyRun, tmp_path: Path) -> None:
    config = load_config(run.folder / "tiny.yaml")
    found = find_prepared(config)
    assert found is not None
    assert found.dataset.parent == run.runs / "prepared"
    for setting in ("batches.max_pieces=15", "tokenizer.vocabulary_size=341", "cleaning.duplicates=false"):
        assert find_prepared(load_config(run.folder / "tiny.yaml", [setting])) is None
    assert find_prepared(load_config(write_config(tmp_path))) is None  # missing files
    made = sorted(path.name for path in (run.runs / "prepared").iterdir())
    assert len([name for name in made if name.startswith(("corpus-", "tokenizer-", "dataset-"))]) == 3


@pytest.mark.parametrize("option", ["--data=real", "--against=joeynmt", "--seconds=0"])
def test_invalid_options_exit_with_2(option: str) -> None:
    assert kotrans("bench", option).code == 2
