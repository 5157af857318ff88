"""README.md, README.ko.md and the generated reference in docs/configuration.md agree with the code."""

import re
import shlex
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from kotrans.cli.app import app
from kotrans.config.reference import config_reference

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "README.ko.md", *sorted((ROOT / "docs").glob("*.md"))]
README, KOREAN = (page.read_text("utf-8") for page in PAGES[:2])
BEGIN, END = "<!-- config reference: kotrans config reference -->\n", "<!-- end of config reference -->"


def commands() -> list[str]:
    """Every kotrans command in a shell block of any page, without what starts it or reads its output."""
    blocks = [block for page in PAGES for block in re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), re.DOTALL)]
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return sorted({line.split(" -m -- ")[-1] for line in lines if re.match(r"(torchrun .*)?kotrans ", line)})


def test_the_configuration_page_has_the_generated_reference() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    written = page.partition(BEGIN)[2].partition(END)[0]
    assert written.strip() == config_reference().strip(), "paste the output of `kotrans config reference`"


@pytest.mark.parametrize("command", commands())
def test_every_command_in_the_pages_has_options_that_exist(command: str) -> None:
    words = shlex.split(re.split(r" [<>] ", command)[0])
    name = [] if words[1].startswith("-") else words[1:3] if words[1] == "config" else words[1:2]
    result = CliRunner().invoke(app, [*name, "--help"])
    assert result.exit_code == 0, command
    for option in (word for word in words if word.startswith("-")):
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", result.output), f"{command}: no {option}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    named = re.findall(r"`((?:kotrans|configs|tests|docs|data/starter)/[\w./-]+)`", page.read_text("utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_korean_readme_has_the_sections_of_the_english_one_in_the_same_order() -> None:
    pairs = {
        "Install": "설치", "Two commands": "명령 두 개로 시작하기", "Five minutes' tour": "5분 둘러보기",
        "Your own text": "내 데이터로 학습하기", "Commands": "명령어", "Results": "결과",
        "Limits and hardware": "한계와 하드웨어", "Development": "개발", "Licence and citation": "라이선스와 인용",
    }  # fmt: skip
    assert re.findall(r"^## (.*)$", README, re.MULTILINE) == list(pairs)
    assert re.findall(r"^## (.*)$", KOREAN, re.MULTILINE) == list(pairs.values())


def test_both_readmes_show_the_same_figures() -> None:
    english, korean = (re.findall(r"\b\d+\.\d\d\b", text) for text in (README, KOREAN))
    assert english == korean


@pytest.mark.parametrize("text", [README, KOREAN], ids=["English", "Korean"])
def test_every_command_is_in_the_table_of_commands(text: str) -> None:
    table = "\n".join(line for line in text.splitlines() if line.startswith("| `kotrans "))
    group = typer.main.get_command(app)
    assert [name for name in group.list_commands(None) if name not in table] == []  # type: ignore[attr-defined]
