"""Links, anchors, paths and quoted messages in the documentation exist."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs.pages import ROOT, Page, pages

PAGES = pages()
BY_NAME = {page.name: page for page in PAGES}
PATH = re.compile(r"(?:kotrans|configs|data|tests|docs)/[\w./-]*\w")
NOT_A_MESSAGE = re.compile(r"(kotrans|make|pip|python|git|torchrun|curl|export|py) |--?\w|[\w.]+=")
HOLE = "\0"  # a placeholder of an f-string

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@each_page
def test_every_link_leads_to_a_file_and_an_anchor(page: Page) -> None:
    for text, target in page.links:
        if re.match(r"(https?|mailto):", target):
            continue
        name, _, anchor = unquote(target).partition("#")
        path = (page.path.parent / name).resolve() if name else page.path
        assert path.exists(), f"{page.name}: {target}"
        assert ROOT in path.parents, f"{page.name}: {target} is outside the project"
        if path.suffix == ".md" and anchor:
            assert anchor in {heading.anchor for heading in Page(path).headings}, f"{page.name}: {target}"
        assert path.suffix != ".py" or not anchor, (
            f"{page.name}: {target}: line numbers change, name a class or function"
        )
        if path.suffix == ".py" and not text.endswith(".py"):
            names = {name for dotted in re.findall(r"[\w.]+", text) for name in dotted.split(".")}
            assert names <= set(_defined(path)), f"{page.name}: {target} does not define all of {text}"


@each_page
def test_every_path_that_is_named_exists(page: Page) -> None:
    named = [span for span in page.code_spans if PATH.fullmatch(span.rstrip("/"))]
    assert [name for name in named if not (ROOT / name).exists()] == []


@each_page
def test_every_method_that_is_named_exists(page: Page) -> None:
    named = [
        span.removesuffix("()") for span in page.code_spans if re.fullmatch(r"[A-Z]\w*[a-z]\w*\.[a-z_]\w*(\(\))?", span)
    ]
    defined = _methods()
    assert [name for name in named if name not in defined] == []


def test_every_page_is_linked_from_the_index() -> None:
    index = BY_NAME["docs/README.md"]
    linked = {(index.path.parent / target.partition("#")[0]).resolve() for _, target in index.links}
    assert [page.name for page in PAGES if page.path.parent == index.path.parent and page is not index] == [
        page.name
        for page in PAGES
        if page.path in linked and page.path.parent == index.path.parent and page is not index
    ]


@pytest.mark.parametrize("name", sorted(name for name in BY_NAME if name.endswith(".ko.md")))
def test_a_korean_page_has_the_sections_commands_and_figures_of_the_english_one(name: str) -> None:
    korean, english = BY_NAME[name], BY_NAME[name.replace(".ko.md", ".md")]
    assert [heading.level for heading in korean.headings] == [heading.level for heading in english.headings]
    blocks = [
        [_code(block.text) for block in page.blocks if block.language in ("sh", "yaml")] for page in (english, korean)
    ]
    assert [block for block in blocks[0] if block not in blocks[1]] == []
    figures = [set(re.findall(r"\d+\.\d\d\b", page.text)) for page in (english, korean)]
    assert figures[0] <= figures[1]


@cache
def _methods() -> frozenset[str]:
    """Class.name of every method and attribute that a class of kotrans defines in its body."""
    found = set()
    for path in (ROOT / "kotrans").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                for each in node.body:
                    if isinstance(each, ast.FunctionDef):
                        found.add(f"{node.name}.{each.name}")
                    elif isinstance(each, ast.AnnAssign):
                        found.add(f"{node.name}.{ast.unparse(each.target)}")
    return frozenset(found)


def _defined(path: Path) -> Iterator[str]:
    """Names that a module defines: classes, functions, methods and constants."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _code(block: str) -> list[str]:
    """A block without its comments."""
    return [line for each in block.splitlines() if (line := re.sub(r"(^|\s+)#.*", "", each).rstrip())]


def _templates() -> list[str]:
    """Every text in the code, with a mark for each placeholder."""
    found = []
    for path in chain((ROOT / "kotrans").rglob("*.py"), (ROOT / "data").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(str(v.value) if isinstance(v, ast.Constant) else HOLE for v in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


@cache
def _printable() -> tuple[str, ...]:
    return tuple({" ".join(template.split()) for template in _templates() if len(template) > 8})


def _is_printed(message: str) -> bool:
    """True if the message is part of a text of the code, or such a text covers half of it; `…` stands for anything."""
    message = " ".join(message.split())
    parts = [part.strip() for part in re.split(r"…|\.\.\.", message) if len(part.strip()) > 3]
    for template in _printable():
        if parts and all(part in template for part in parts):
            return True
        literals = [part for part in template.split(HOLE) if part.strip()]
        if sum(map(len, literals)) >= len(message) / 2:
            at = 0
            for literal in literals:
                at = message.find(literal, at)
                if at < 0:
                    break
                at += len(literal)
            else:
                return True
    return False


def test_every_message_in_troubleshooting_is_one_that_the_code_prints() -> None:
    page = BY_NAME["docs/troubleshooting.md"]
    spans = [span for row in page.first_cells for span in row] + [
        span for heading in page.headings for span in re.findall(r"`([^`]+)`", heading.text)
    ]
    messages = [span for span in spans if len(span.split()) >= 3 and not NOT_A_MESSAGE.match(span)]
    assert len(messages) >= 10
    assert [message for message in messages if not _is_printed(message)] == []


def test_a_message_that_the_code_does_not_print_is_found() -> None:
    assert _is_printed("runs: no runs yet; train one with `kotrans train`")
    assert not _is_printed("the model has eaten the checkpoint and cannot stop")
