"""The workflow for public CI runs what the Makefile runs."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
TARGETS = {r"\.venv/installed": "install", "check": "check", "test": "test"}


def job() -> dict[str, Any]:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    (found,) = workflow["jobs"].values()
    return dict(found)


def commands(system: str) -> list[str]:
    """What the steps run on a system: `Windows` or another."""
    operator = "==" if system == "Windows" else "!="
    return [
        line
        for step in job()["steps"]
        if "run" in step and step.get("if", f"runner.os {operator} 'Windows'") == f"runner.os {operator} 'Windows'"
        for line in step["run"].strip().split("\n")
    ]


def recipe(target: str) -> list[str]:
    """The commands of a target, but for the check of Python's version and the mark that it is installed."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    found = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert found, target
    lines = [line.strip() for line in found[1].rstrip("\n").split("\n")]
    return [line for line in lines if not line.startswith("@")]


def test_where_there_is_make_its_targets_are_run() -> None:
    assert commands("Linux") == ["make install PYTHON=python", "make check", "make test"]


def test_on_windows_the_same_commands_are_run_without_make() -> None:
    expected = [line for target in TARGETS for line in recipe(target)]
    assert len(expected) == 7
    assert commands("Windows") == [
        line.replace("$(PYTHON)", "python").replace("$(BIN)", ".venv/Scripts") for line in expected
    ]


@pytest.mark.parametrize("system", ["ubuntu", "macos", "windows"])
def test_every_system_has_every_python_that_the_package_names(system: str) -> None:
    matrix = job()["strategy"]["matrix"]
    assert f"{system}-latest" in matrix["os"]
    assert matrix["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert 'requires-python = ">=3.11.4"' in (ROOT / "pyproject.toml").read_text("utf-8")
