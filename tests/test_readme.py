"""The README says what the code does."""

import re
import shlex
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from kotrans.cli.app import app
from kotrans.config.reference import config_reference

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
BEGIN, END = "<!-- config reference: kotrans config reference -->\n", "<!-- end of config reference -->"


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    # What stands before the command itself: a pipe into it, or torchrun, which starts it several times.
    return sorted(
        {re.split(r"\| | -m -- ", line)[-1] for line in lines if "kotrans " in line and not line.startswith("#")}
    )


def test_the_config_reference_is_what_the_typed_config_says() -> None:
    written = README.partition(BEGIN)[2].partition(END)[0]
    assert written.strip() == config_reference().strip(), "paste the output of `kotrans config reference`"


@pytest.mark.parametrize("command", commands())
def test_every_command_of_the_readme_has_options_that_exist(command: str) -> None:
    words = shlex.split(command.split(" > ")[0])
    command_words = words[1:3] if words[1] == "config" else words[1:2]
    result = CliRunner().invoke(app, [*command_words, "--help"])
    assert result.exit_code == 0, command
    for option in (word for word in words if word.startswith("-")):
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", result.output), f"{command}: no {option}"


def test_every_file_that_the_readme_names_is_there() -> None:
    named = re.findall(r"`((?:kotrans|configs|data|tests)/[\w./-]+)`", README)
    assert len(named) > 5
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_korean_section_has_the_same_headings_in_the_same_order() -> None:
    english, _, korean = README.partition("\n## 한국어 안내\n")
    pairs = {
        "Set up": "설치", "Commands": "명령어", "Configs": "설정 파일", "The model": "모델",
        "Your own text": "내 글로 학습하기", "Results": "결과", "Troubleshooting": "문제 해결",
        "Licence and citations": "라이선스와 인용",
    }  # fmt: skip
    assert re.findall(r"^## (.*)$", english, re.MULTILINE) == list(pairs)
    assert re.findall(r"^### (.*)$", korean, re.MULTILINE) == list(pairs.values())


def test_every_command_there_is_stands_in_the_readme() -> None:
    group = typer.main.get_command(app)
    assert [name for name in group.list_commands(None) if name not in README] == []  # type: ignore[attr-defined]
