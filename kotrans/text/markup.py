"""Plain text of a line with inline markup: reStructuredText, Markdown or HTML. Code, link texts and names stay."""

import re
from html.parser import HTMLParser
from typing import Literal

Language = Literal["rst", "markdown", "html"]

_LONGEST = 1000  # characters inside a mark; bounds the time for marks that are never closed
# Inline markup of docutils (reStructuredText Markup Specification, "Inline Markup") with the roles of Sphinx. Ends are
# recognized before Hangul, too, because Korean text often lacks the escaped space that docutils requires there.
_RST = re.compile(
    rf"""
      ``(?P<code>[^\n]{{1,{_LONGEST}}}?)``(?!`)
    | :(?P<role>[A-Za-z][\w.+:-]{{0,40}}):`(?P<text>[^`]{{1,{_LONGEST}}})`
    | `(?P<link>[^`]{{1,{_LONGEST}}})`(?P<underscores>_{{0,2}})
    | (?<![A-Za-z0-9*\\])\*\*(?P<strong>(?=[^\s*])[^\n]{{0,{_LONGEST}}}?[^\s*\\])\*\*(?![A-Za-z0-9*])
    | (?<![A-Za-z0-9*\\])\*(?P<emphasis>(?=[^\s*])[^\n*]{{0,{_LONGEST}}}?[^\s*\\])\*(?![A-Za-z0-9*])
    | (?<![\w|])\|(?P<substitution>[A-Za-z][\w .-]{{0,60}})\|_{{0,2}}
    | (?P<footnote>\s?\[(?:\d+|[#*]\w{{0,40}})\]_)(?!\w)
    | \\(?P<escaped>.)
    """,
    re.VERBOSE,
)
_TARGET = re.compile(r"\s*(?<!\\)<[^<>]*>\s*$")  # of `text <target>`
_PREFIXED = {"pep": "PEP ", "rfc": "RFC "}
_WITHOUT_TEXT = frozenset({"index"})


def plain_text(line: str, markup: Language) -> str:
    """Returns a line without markup, with white space as single spaces."""
    text = {"rst": _without_rst, "markdown": _without_markdown, "html": _without_html}[markup](line)
    return " ".join(text.split())


def _without_rst(line: str) -> str:
    text = _RST.sub(_rst_text, line)
    # A paragraph that ends with `::` announces a literal block.
    return text[:-1] if text.endswith("::") else text


def _rst_text(found: re.Match[str]) -> str:
    kind = found.lastgroup
    if kind == "text":
        return _role_text(found["role"].rpartition(":")[2], found["text"])
    if kind == "underscores":
        return _label(found["link"])
    if kind == "footnote":
        return ""
    if kind == "escaped":
        return found["escaped"].strip()  # an escaped space only ends a mark
    return found[kind] if kind else found[0]


def _role_text(role: str, text: str) -> str:
    """Returns what Sphinx shows for a role: the label, or the name without the modules that `~` leaves out."""
    if role in _WITHOUT_TEXT:
        return ""
    label = _label(text)
    if label != text:
        return label
    if text.startswith("~"):
        return text[1:].rpartition(".")[2]
    return _PREFIXED.get(role, "") + text.removeprefix("!").removeprefix(".")


def _label(text: str) -> str:
    """Returns the text of `text <target>`; the target if there is no text."""
    label = _TARGET.sub("", text)
    return label or text.strip()[1:-1]


def _without_markdown(line: str) -> str:
    from markdown_it import MarkdownIt

    parts = []
    # Without indentation, which would make it code: a single line is more likely an item of a list.
    for token in MarkdownIt("commonmark").parse(line.lstrip()):
        if token.type == "inline":
            parts.append("".join(_markdown_text(child.type, child.content) for child in token.children or ()))
        elif token.type in ("code_block", "fence"):
            parts.append(token.content)
        elif token.type == "html_block":
            parts.append(_without_html(token.content))
    return " ".join(parts)


def _markdown_text(kind: str, content: str) -> str:
    if kind in ("text", "code_inline", "image"):  # the content of an image is its description
        return content
    return " " if kind in ("softbreak", "hardbreak") or content.lower().startswith("<br") else ""


class _TextOfHtml(HTMLParser):
    """Collects the text between tags."""

    _HIDDEN = frozenset({"script", "style", "head", "template"})
    # Tags between which words may continue; the others separate words.
    _INLINE = re.compile(
        "a|abbr|b|bd[io]|cite|code|data|del|dfn|em|font|i|ins|kbd|label|mark|q|s|samp|small|span|strike|strong|su[bp]|"
        "time|tt|u|var|wbr"
    )

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in self._HIDDEN
        self._separate(tag)

    def handle_endtag(self, tag: str) -> None:
        self._hidden = max(0, self._hidden - (tag in self._HIDDEN))
        self._separate(tag)

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)

    def _separate(self, tag: str) -> None:
        if not self._INLINE.fullmatch(tag):
            self.parts.append(" ")


def _without_html(line: str) -> str:
    parser = _TextOfHtml()
    parser.feed(line)
    parser.close()
    return "".join(parser.parts)
