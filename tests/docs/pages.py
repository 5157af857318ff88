"""The Markdown pages of the project, parsed: code blocks, headings, links and code spans."""

import re
import shlex
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PATHS = sorted([*ROOT.glob("README*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "data" / "README.md"])
_OPERATORS = re.compile(r"[|&;<>()]+")
_ASSIGNMENT = re.compile(r"\w+=")


class Block(NamedTuple):
    """A fenced code block."""

    language: str
    text: str
    line: int  # of the opening fence, from 1


class Heading(NamedTuple):
    """A heading with the anchor that GitHub gives it."""

    level: int
    text: str
    anchor: str


class Page:
    """One Markdown page."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.relative_to(ROOT).as_posix()
        self.text = path.read_text("utf-8")

    @cached_property
    def _tokens(self) -> list[Token]:
        return MarkdownIt("commonmark").enable("table").parse(self.text)

    @cached_property
    def _inline(self) -> list[Token]:
        return [child for token in self._tokens if token.type == "inline" for child in token.children or ()]

    @property
    def blocks(self) -> list[Block]:
        """Returns the fenced code blocks in order."""
        return [
            Block(token.info.strip(), token.content, (token.map or [0])[0] + 1)
            for token in self._tokens
            if token.type == "fence"
        ]

    @property
    def headings(self) -> list[Heading]:
        """Returns the headings in order; repeated anchors are numbered as GitHub numbers them."""
        found: list[Heading] = []
        seen: dict[str, int] = {}
        for token, inline in zip(self._tokens, self._tokens[1:], strict=False):
            if token.type == "heading_open":
                text = "".join(child.content for child in inline.children or ())
                anchor = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
                number = seen.get(anchor, 0)
                seen[anchor] = number + 1
                found.append(Heading(int(token.tag[1]), text, f"{anchor}-{number}" if number else anchor))
        return found

    @property
    def links(self) -> list[tuple[str, str]]:
        """Returns the text and target of each link and image."""
        found = []
        for i, token in enumerate(self._inline):
            if token.type == "link_open":
                end = next(k for k in range(i, len(self._inline)) if self._inline[k].type == "link_close")
                text = "".join(each.content for each in self._inline[i:end])
                found.append((text, str(token.attrs["href"])))
            elif token.type == "image":
                found.append((token.content, str(token.attrs["src"])))
        return found

    @property
    def code_spans(self) -> list[str]:
        """Returns the inline code of the page."""
        return [token.content for token in self._inline if token.type == "code_inline"]

    @property
    def first_cells(self) -> list[list[str]]:
        """Returns the inline code of the first cell of each row of each table."""
        rows, cell = [], -1
        for token in self._tokens:
            if token.type == "tr_open":
                cell = -1
            elif token.type == "td_open":
                cell += 1
            elif token.type == "inline" and cell == 0:
                rows.append([each.content for each in token.children or () if each.type == "code_inline"])
                cell += 1
        return rows


def pages() -> list[Page]:
    """Returns every page of documentation."""
    return [Page(path) for path in PATHS]


def simple_commands(block: str) -> Iterator[list[str]]:
    """Yields the words of each simple command of a shell block, without variable assignments and redirections."""
    for line in block.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        skipped = False
        for word in lexer:
            if _OPERATORS.fullmatch(word):
                skipped = word.startswith((">", "<"))
                if not skipped:
                    yield from [words] if words else []
                    words = []
            elif skipped:  # the file of a redirection
                skipped = False
            elif words or not _ASSIGNMENT.match(word):
                words.append(word)
        if words:
            yield words


def kotrans_arguments(words: list[str]) -> list[str] | None:
    """Returns the arguments of a kotrans command; None if the words run something else."""
    if words and words[0].rpartition("/")[2] == "kotrans":
        return words[1:]
    for i in range(len(words) - 1):
        if words[i : i + 2] == ["-m", "kotrans"]:
            return words[i + 2 :]
    return None
