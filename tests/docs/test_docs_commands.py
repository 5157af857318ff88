"""Every command and setting in the documentation can be used as it is written."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from kotrans.cli.app import app
from kotrans.config.loading import load_config
from kotrans.config.reference import config_reference
from tests.docs.pages import ROOT, Block, Page, kotrans_arguments, pages, simple_commands
from tests.tiny_run import TinyRun

PAGES = pages()
BLOCKS = [(page, block) for page in PAGES for block in page.blocks]
GROUP: Any = typer.main.get_command(app)
BEGIN, END = "<!-- config reference: kotrans config reference -->\n", "<!-- end of config reference -->"
LANGUAGES = {
    "sh",
    "text",
    "yaml",
    "python",
    "json",
    "tsv",
    "dockerfile",
    "powershell",
    "ini",
    "nginx",
    "mermaid",
    "bibtex",
}


def of_language(*languages: str) -> pytest.MarkDecorator:
    chosen = [each for each in BLOCKS if each[1].language in languages]
    ids = [f"{page.name}:{block.line}" for page, block in chosen]
    return pytest.mark.parametrize(("page", "block"), chosen, ids=ids)


def parse(arguments: list[str]) -> dict[str, Any]:
    """Parses the arguments of `kotrans` as the command line does; raises its usage errors."""
    command, context = GROUP, GROUP.make_context("kotrans", list(arguments), resilient_parsing=False)
    rest = arguments
    while hasattr(command, "resolve_command"):
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)
    return dict(context.params)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_code_block_says_what_it_is(page: Page) -> None:
    assert [block for block in page.blocks if block.language not in LANGUAGES] == []


@of_language("sh", "powershell")
def test_every_command_has_options_and_settings_that_exist(page: Page, block: Block) -> None:
    for words in simple_commands(block.text):
        if words[0] == "make":
            targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
            assert {word for word in words[1:] if "=" not in word and not word.startswith("-")} <= targets
        arguments = kotrans_arguments(words)
        if arguments is None or not arguments or arguments[0].startswith("-"):
            continue
        parse(arguments)
        config = next((value for name, value in pairwise(arguments) if name in ("-c", "--config")), "")
        settings = [value for name, value in pairwise(arguments) if name == "--set"]
        path = ROOT / config if (ROOT / config).is_file() else ROOT / "configs" / "starter.yaml"
        load_config(path, settings)


@of_language("yaml")
def test_every_yaml_block_is_a_config_or_a_part_of_one(page: Page, block: Block, tmp_path: Path) -> None:
    settings = yaml.safe_load(block.text)
    assert isinstance(settings, dict)
    (tmp_path / "page.yaml").write_text(yaml.safe_dump({"corpora": [{"name": "starter"}], **settings}), "utf-8")
    load_config(tmp_path / "page.yaml")


@of_language("python")
def test_every_python_block_compiles(page: Page, block: Block) -> None:
    compile(block.text, f"{page.name}:{block.line}", "exec")


@pytest.mark.parametrize("name", ["README.md", "docs/python-api.md"])
def test_the_examples_of_the_python_api_run(
    name: str, tiny_run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run in ("starter", "fixed-context"):
        (tmp_path / run).symlink_to(tiny_run.runs / "tiny", target_is_directory=True)
    monkeypatch.setenv("KOTRANS_RUNS", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in Page(ROOT / name).blocks:
        if block.language == "python":
            exec(compile(block.text, f"{name}:{block.line}", "exec"), names)


def test_the_config_reference_is_generated_from_the_typed_config() -> None:
    written = (ROOT / "docs" / "configuration.md").read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
    assert written.strip() == config_reference().strip(), "paste the output of `kotrans config reference`"


@pytest.mark.parametrize("name", ["README.md", "README.ko.md"])
def test_the_readme_has_a_row_for_every_command_and_fits_in_250_lines(name: str) -> None:
    page = Page(ROOT / name)
    named = {span.removeprefix("kotrans ") for row in page.first_cells for span in row}
    assert set(GROUP.list_commands(None)) <= named
    assert len(page.text.splitlines()) <= 250


@pytest.mark.parametrize("command", GROUP.list_commands(None))
def test_every_option_of_a_command_is_explained_in_the_documentation(command: str) -> None:
    text = "\n".join(page.text for page in PAGES)
    for parameter in GROUP.get_command(None, command).params:
        names = [name for name in parameter.opts if name.startswith("--")]
        assert not names or re.search(rf"({'|'.join(names + parameter.opts)})(?![\w-])", text), names
