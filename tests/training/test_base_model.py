"""Training that starts from another model."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kotrans.config.schema import Config
from kotrans.data.stages import SilentReporter
from kotrans.errors import CheckpointError, ConfigError
from kotrans.evaluation.base_comparison import compare_with_base
from kotrans.export.export import export
from kotrans.runs.model_files import load_model_files
from kotrans.runs.run import Run
from kotrans.storage.paths import runs_folder
from kotrans.training.base_model import with_shapes_of
from kotrans.training.events import Event, Listener
from kotrans.training.train import StartingPoint, train
from kotrans.translation.model_loading import SavedModel, find_model
from kotrans.translation.translator import Translator
from tests.tiny_training import assert_same_training, silent, stop_at, tiny_config, train_tiny, write_numbers

pytestmark = [pytest.mark.slow, pytest.mark.e2e]


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A finished run on one text."""
    monkeypatch.setenv("KOTRANS_RUNS", str(tmp_path / "runs"))
    run = Run(runs_folder() / "old")
    train_tiny(tiny_config(write_numbers(tmp_path / "old-text")), run)
    return run


def other_text(tmp_path: Path, base: SavedModel, **sections: Any) -> Config:
    """A config with shorter lines of the same kind, and the shapes of the base model."""
    text = write_numbers(tmp_path / "new-text", {"train": 120, "dev": 8, "test": 8}, longest=2)
    return with_shapes_of(tiny_config(text, **sections), base.config, base.name)


def train_from(
    base: SavedModel | None, config: Config, run: Run, listener: Listener = silent, *, resume: bool = False
) -> StartingPoint:
    points: list[StartingPoint] = []
    train(config, run, SilentReporter(), listener, base=base, resume=resume, begin=points.append)
    return points[0]


def test_training_starts_from_the_weights_and_the_tokenizer_of_the_base(old: Run, tmp_path: Path) -> None:
    base = find_model("old")
    new = Run(runs_folder() / "new")
    config = other_text(tmp_path, base, training={"learning_rate": 1e-9, "max_updates": 2})
    train_from(base, config, new)
    before, after = load_model_files(base.path), load_model_files(new.checkpoint("last"))
    assert after.tokenizer.fingerprint == before.tokenizer.fingerprint
    for name, weight in before.weights.items():
        np.testing.assert_allclose(after.weights[name], weight, atol=1e-7)
    assert new.record().base == base.name


@pytest.mark.parametrize("update", [1, 5])
def test_a_killed_training_resumes_bitwise_even_if_the_base_is_gone(old: Run, tmp_path: Path, update: int) -> None:
    base = find_model("old")
    config = other_text(tmp_path, base)
    whole, resumed = Run(runs_folder() / "whole"), Run(runs_folder() / "resumed")
    train_from(base, config, whole)
    train_from(base, config, resumed, stop_at(update))
    shutil.rmtree(old.folder)
    train_from(None, config, resumed, resume=True)
    assert_same_training(whole, resumed)


def test_a_training_killed_before_its_first_checkpoint_starts_from_the_base_again(old: Run, tmp_path: Path) -> None:
    base = find_model("old")
    config = other_text(tmp_path, base)
    whole, resumed = Run(runs_folder() / "whole"), Run(runs_folder() / "resumed")
    train_from(base, config, whole)

    class Killed(Exception):
        pass

    def die(event: Event) -> None:
        raise Killed

    with pytest.raises(Killed):
        train_from(base, config, resumed, die)
    assert not resumed.record().kept
    train_from(None, config, resumed, resume=True)
    assert_same_training(whole, resumed)


def test_an_exported_model_is_a_base_too(old: Run, tmp_path: Path) -> None:
    export(find_model("old"), tmp_path / "model", "fp32")
    base = find_model(tmp_path / "model")
    point = train_from(base, other_text(tmp_path, base), Run(runs_folder() / "new"))
    assert point.run.base.is_dir()


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"encoder": {"hidden_size": 12}}, r"encoder\.hidden_size is 12, but 6 in old/update-\d+, from which"),
        ({"tokenizer": {"vocabulary_size": 400}}, r"tokenizer\.vocabulary_size is 400, but 300 in old"),
        ({"attention": {"score": "cosine"}}, r"attention\.score is cosine, but additive in old"),
    ],
)
def test_shapes_that_do_not_fit_are_named_with_both_values(
    old: Run, tmp_path: Path, sections: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        other_text(tmp_path, find_model("old"), **sections)


def test_shapes_that_the_config_leaves_out_are_those_of_the_base(old: Run, tmp_path: Path) -> None:
    base = find_model("old").config
    bare = Config.model_validate({"name": "bare", "corpora": [{"name": "starter"}], "tokenizer": {"sampling": 0.1}})
    config = with_shapes_of(bare, base, "old")
    assert (config.encoder, config.decoder, config.embeddings) == (base.encoder, base.decoder, base.embeddings)
    assert config.tokenizer == base.tokenizer.model_copy(update={"sampling": 0.1})
    assert config.corpora == bare.corpora


def test_a_missing_base_is_an_error(old: Run) -> None:
    with pytest.raises(CheckpointError, match="there is no such"):
        find_model("nothing")


def test_the_test_sets_of_both_models_are_scored_before_and_after(old: Run, tmp_path: Path) -> None:
    base = find_model("old")
    new = Run(runs_folder() / "new")
    point = train_from(base, other_text(tmp_path, base), new)
    compared = compare_with_base(Translator.load("new"), new, point.corpus)
    assert [(each.name, each.pairs) for each in compared] == [("test of new", 8), ("test of old", 10)]
    shutil.rmtree(old.folder)
    assert [each.name for each in compare_with_base(Translator.load("new"), new, point.corpus)] == ["test of new"]
