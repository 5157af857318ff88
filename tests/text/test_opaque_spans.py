"""Spans of a line that are not natural language."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kotrans.text.literals import opaque_spans


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "문의는 kim.lee+a@b-c.co.kr, https://a.kr/x?y=1&z=2#q, +82-2-123-4567로.",
            ["kim.lee+a@b-c.co.kr", "https://a.kr/x?y=1&z=2#q", "+82-2-123-4567"],
        ),
        ("<@525363044948115456>님", ["<@525363044948115456>"]),
        (
            "%1$s 파일 %d개를 {name}에서 %(x)s로 ${y} 옮겼습니다. {0} {} {{x}} %.2f %1",
            ["%1$s", "%d", "{name}", "%(x)s", "${y}", "{0}", "{}", "{{x}}", "%.2f", "%1"],
        ),
        ("$1을 $2로", ["$1", "$2"]),
        ("%s을(를) 찾을 수 없습니다. 파일이(가) 은(銀)이", ["%s"]),
        ("저장(S) 파일(_F) 저장(&S)", ["(S)", "(_F)", "(&S)"]),
        ("<b>저장</b> <br/>", ["<b>", "</b>", "<br/>"]),
        ("`os.path`와 ``x``", ["`os.path`", "``x``"]),
        ("(http://a.kr/x).", ["http://a.kr/x"]),
        ("50% discount, 100%다, 50%s $30 $1.50 $5 million", []),
        ("f(x) A씨는 B형, a < b", []),
        ("1990-2000 2023-05-01 3-2", []),
    ],
)
def test_placeholders_addresses_code_tags_and_mnemonics_are_found_whole(line: str, expected: list[str]) -> None:
    assert [span.text for span in opaque_spans(line)] == expected


@given(st.text(alphabet="ab1 <>{}%$@./:-+&()_`저`", max_size=40))
def test_spans_are_in_order_and_have_the_text_at_their_indices(line: str) -> None:
    end = 0
    for span in opaque_spans(line):
        assert end <= span.begin < span.end
        assert line[span.begin : span.end] == span.text
        end = span.end
