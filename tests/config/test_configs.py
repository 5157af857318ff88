"""The bundled configs."""

from pathlib import Path

import pytest

from kotrans.config.loading import load_config
from kotrans.data.registry import load_registry
from kotrans.storage import resources

CONFIGS = sorted(resources.configs().glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_config_loads_and_names_existing_corpora(path: Path) -> None:
    config = load_config(path)
    assert config.name == path.stem
    for corpus in config.corpora:
        assert corpus.splits or corpus.name in load_registry()


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_config_begins_with_its_purpose_and_duration(path: Path) -> None:
    comment = []
    for line in path.read_text("utf-8").split("\n"):
        if not line.startswith("#"):
            break
        comment.append(line.removeprefix("#").strip())
    text = " ".join(comment)
    assert len(text.split()) >= 10
    assert any(unit in text for unit in ("second", "minute", "hour")), "how long does it take?"


def test_the_documented_configs_exist() -> None:
    names = "starter tatoeba korean-english-news open-ko-en open-ko-en-large fixed-context tiny"
    assert set(names.split()) <= {path.stem for path in CONFIGS}


def test_the_fixed_context_config_differs_from_the_starter_only_in_the_score() -> None:
    starter, fixed = (load_config(resources.configs() / f"{name}.yaml") for name in ("starter", "fixed-context"))
    assert fixed.attention.score == "none"
    assert fixed == starter.model_copy(update={"name": fixed.name, "attention": fixed.attention})
