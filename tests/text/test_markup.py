"""Plain text of lines with markup."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kotrans.text.markup import Language, plain_text


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("Use ``f(*args)`` here.", "Use f(*args) here."),
        (":class:`~collections.abc.Iterable` 객체입니다.", "Iterable 객체입니다."),
        (":func:`os.open`\\에 의해", "os.open에 의해"),
        ("*filenames*\\로 이름이", "filenames로 이름이"),
        ("*이름*로 쓰는 **굵은**글자", "이름로 쓰는 굵은글자"),
        (":ref:`the manual <manual>` and `a page <https://x.org/>`_.", "the manual and a page."),
        (":doc:`</ref/index>`", "/ref/index"),
        (":pep:`567` and :rfc:`2616`", "PEP 567 and RFC 2616"),
        (":meth:`!close`, :py:mod:`sys`, :option:`--help <x>`", "close, sys, --help"),
        ("See [1]_ or [#note]_.", "See or."),
        ("|version| of ``a``::", "version of a:"),
        ("2 * 3 * 4 and **kwargs or *args", "2 * 3 * 4 and **kwargs or *args"),
        ("a_b, __init__, x_ and r'\\n'", "a_b, __init__, x_ and r'n'"),
        ("``a`` `` b", "a `` b"),
        ("", ""),
    ],
)
def test_restructured_text_keeps_code_links_and_names(line: str, text: str) -> None:
    assert plain_text(line, "rst") == text


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("# Title with `code`", "Title with code"),
        ("- **bold** and [a link](https://x.org)", "bold and a link"),
        ("    an indented line", "an indented line"),
        ("![a picture](x.png) of &lt;b&gt;", "a picture of <b>"),
        ("some <b>bold</b> text<br>more", "some bold text more"),
        ("<div>inside</div>", "inside"),
        ("snake_case_name * 2", "snake_case_name * 2"),
    ],
)
def test_markdown_keeps_code_links_and_names(line: str, text: str) -> None:
    assert plain_text(line, "markdown") == text


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("<p>가<b>나</b>다</p><p>라</p>", "가나다 라"),
        ("a<br/>b &amp; c", "a b & c"),
        ("<script>x()</script>text<style>y</style>", "text"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("an <a href='x'>unclosed tag", "an unclosed tag"),
    ],
)
def test_html_keeps_the_text(line: str, text: str) -> None:
    assert plain_text(line, "html") == text


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["rst", "markdown", "html"]))
def test_any_line_gives_one_line(line: str, markup: Language) -> None:
    text = plain_text(line, markup)
    assert text == " ".join(text.split())


@given(st.lists(st.text("가나다abc019,.!?()", min_size=1), min_size=1).map(" ".join))
def test_a_line_without_marks_is_unchanged_in_restructured_text(line: str) -> None:
    assert plain_text(line, "rst") == line


@pytest.mark.slow
@pytest.mark.timeout(60)  # a quadratic pattern would take minutes
@pytest.mark.parametrize("mark", ["``", "`", "*a ", "**a ", "|a", ":a:`", "[1", "\\"])
def test_marks_that_are_never_closed_do_not_take_quadratic_time(mark: str) -> None:
    assert len(plain_text(mark * 100_000, "rst")) > 30_000
