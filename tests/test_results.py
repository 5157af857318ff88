"""docs/results.md and docs/results.yaml have the same figures, and their commands can be run."""

import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from kotrans.config.loading import load_config
from tests.check_results import Figure, check_figure, figure_in, figures

ROOT = Path(__file__).parent.parent
RESULTS: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "results.yaml").read_text("utf-8"))
PAGE = (ROOT / "docs" / "results.md").read_text("utf-8")


@pytest.mark.parametrize("figure", figures(RESULTS), ids=lambda figure: f"{figure.run} {figure.split} {figure.key}")
def test_every_recorded_figure_is_in_the_page(figure: Figure) -> None:
    assert f"{figure.value:.2f}" in PAGE


@pytest.mark.parametrize("run", RESULTS["runs"])
def test_every_training_command_names_its_run_and_has_settings_that_exist(run: str) -> None:
    command = shlex.split(RESULTS["runs"][run]["train"])
    assert command[:2] == ["kotrans", "train"]
    assert command[command.index("--run") + 1] == run
    settings = [value for option, value in pairwise(command) if option == "--set"]
    load_config(ROOT / command[command.index("-c") + 1], settings)


def test_the_page_names_the_commit_the_machine_and_the_date_of_its_figures() -> None:
    for key in ("commit", "machine", "date"):
        assert str(RESULTS["measured"][key]) in PAGE


def test_a_figure_beyond_its_tolerance_is_off() -> None:
    figure = Figure("additive-1", "test", "bleu", 97.0, 2.0)
    assert check_figure(figure, 95.0)
    assert not check_figure(figure, 94.9)
    evaluation = {"bleu": 97.0, "by_source_words": [{"label": "11-15", "bleu": 3.5}]}
    assert figure_in(evaluation, "by_source_words.11-15") == 3.5
    with pytest.raises(KeyError):
        figure_in(evaluation, "by_source_words.1-2")
