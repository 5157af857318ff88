"""Numbers, months and times of both languages are compared by value."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kotrans.text.quantities import MONTHS, Quantity, english_form, quantities


def only(line: str) -> Quantity:
    (quantity,) = quantities(line)
    return quantity


def same(korean: str, english: str) -> bool:
    return bool(only(korean).readings & only(english).readings)


@pytest.mark.parametrize(
    ("korean", "english"),
    [
        ("3만 명이", "30,000 people"),
        ("3만 명이", "thirty thousand people"),
        ("1억 2천만 원", "120 million won"),
        ("5천 원", "5,000 won"),
        ("3백만 명", "three million people"),
        ("2조 5000억 달러", "2.5 trillion dollars"),
        ("1만 2,345개", "12,345"),
        ("1억 2천3백45만 원", "123,450,000 won"),
        ("30여만 명", "about 300,000 people"),
        ("1만여 명", "some 10,000 people"),
        ("1.5만 명", "15,000"),
        ("100만 원", "one million won"),
        ("100만 원", "a million won"),
        ("십만 명", "100,000 people"),
        ("오백 명", "500 people"),
        ("백만 달러", "1 million dollars"),
        ("1,234.5", "1234.5"),
        ("14퍼센트", "14%"),
        ("14%", "fourteen percent"),
        ("9월", "September"),
        ("9월", "Sept."),
        ("5월", "May"),
        ("오후 3시", "3 p.m."),
        ("오후 3시", "3pm"),
        ("오후 3시", "15:00"),
        ("오후 3시", "at three"),
        ("오전 9시 30분", "9:30 a.m."),
        ("19:30", "7:30 p.m."),
        ("7시 반", "7:30"),
        ("밤 12시", "midnight"),
        ("낮 12시", "noon"),
        ("정오", "noon"),
        ("밤 1시", "1 a.m."),
        ("3번째", "3rd"),
        ("3번째", "third"),
        ("제3", "the third"),
        ("21번째", "the twenty-first"),
        ("두 번째", "second"),
        ("세 명", "three people"),
        ("스물다섯 살", "twenty-five"),
        ("12개", "dozen"),
        ("2번", "twice"),
        ("1등", "first"),
        ("90년대", "the 1990s"),
        ("1990년대", "the nineties"),
        ("10대", "teenagers"),
        ("제2차", "World War II"),
        ("14세", "Louis XIV"),
        ("50명", "half"),
    ],
)
def test_equal_values_in_both_languages_have_a_common_reading(korean: str, english: str) -> None:
    assert same(korean, english)


@pytest.mark.parametrize(
    ("korean", "english"),
    [
        ("3만 명", "3 people"),
        ("3만 명", "3,000 people"),
        ("오전 3시", "3 p.m."),
        ("오후 3시", "5:00"),
        ("9월", "August"),
        ("19:30", "7:30 a.m."),
        ("3.10", "3.1"),
        ("3.11.2", "3.11"),
        ("3", "30"),
        ("007", "7"),
    ],
)
def test_different_values_have_no_common_reading(korean: str, english: str) -> None:
    assert not same(korean, english)


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("2023. 5. 1. 시행", ["2023", "5", "1"]),
        ("'23. 5. 1. 시행", ["2023", "5", "1"]),
        ("2023-05-01", ["2023", "5", "1"]),
        ("1, 2,3 그리고 1234,567", ["1", "2", "3", "1234", "567"]),
        ("3만 5만", ["30000", "50000"]),
        ("2:1 승리", ["2", "1"]),
        ("제2조 3항", ["2", "3"]),
        ("7조각과 3만큼", ["7", "3"]),
        ("2~3만 명", ["20000", "30000"]),
        ("3시간 2시즌 1개월", ["3", "2", "1"]),
        ("two and three, nineteen ninety", ["2", "3", "19", "90"]),
        ("two hundred and five thousand", ["205000"]),
        ("two and a half million", ["2500000"]),
        ("$1.2bn and $30m", ["1200000000", "30000000"]),
        ("끝 7.", ["7"]),
        ("세계 두루 한국 네팔 천만에요 만일", []),
        ("may march", []),
    ],
)
def test_the_context_determines_the_value(line: str, values: list[str]) -> None:
    found = quantities(line)
    assert len(found) == len(values)
    for quantity, value in zip(found, values, strict=True):
        assert Decimal(value) in quantity.readings


@pytest.mark.parametrize(
    ("korean", "english"),
    [
        ("3만", "30,000"), ("5천", "5,000"), ("1억 2천만", "120 million"), ("3340만", "33.4 million"),
        ("1억 2천3백45만", "123.45 million"), ("1억 2345만 6789", "123,456,789"), ("2조 5000억", "2.5 trillion"),
        ("30여만", "300,000"), ("9월", "September"), ("오후 3시", "3 p.m."), ("오전 9시 30분", "9:30 a.m."),
        ("3시", "3 o'clock"), ("3시 반", "3:30"), ("19:30", "19:30"), ("15시", "3 p.m."), ("1,379년", "1,379"),
        ("3.11.2", "3.11.2"), ("3.10", "3.10"),
    ],
)  # fmt: skip
def test_a_quantity_is_written_in_its_english_form(korean: str, english: str) -> None:
    quantity = only(korean)
    assert english_form(quantity) == english
    assert quantity.readings & only(english).readings


def test_a_number_that_replaces_an_ordinal_is_written_as_an_ordinal() -> None:
    assert english_form(only("3번째"), only("2nd")) == "3rd"
    assert english_form(only("112"), only("11th")) == "112th"
    assert english_form(only("3rd"), only("2")) == "3"


@given(st.integers(0, 10**15), st.sampled_from(["", "만", "억"]))
def test_separators_and_korean_units_do_not_change_the_value(number: int, unit: str) -> None:
    value = number * {"": 1, "만": 10**4, "억": 10**8}[unit]
    for line in (f"{number}{unit}", f"{number:,}{unit} 원", f"약 {number:,}{unit}"):
        assert Decimal(value) in only(line).readings
    assert Decimal(value) in only(english_form(only(f"{number}{unit}"))).readings


@given(st.integers(1, 12), st.integers(1, 31))
def test_every_month_matches_its_english_name(month: int, day: int) -> None:
    (first, second), (name, number) = quantities(f"{month}월 {day}일"), quantities(f"{MONTHS[month - 1]} {day}")
    assert first.readings & name.readings
    assert second.readings & number.readings
    assert english_form(first) == MONTHS[month - 1]


@given(st.integers(0, 23), st.integers(0, 59))
def test_a_time_matches_its_12_hour_and_24_hour_forms(hour: int, minute: int) -> None:
    half, twelve = ("오후" if hour >= 12 else "오전"), hour % 12 or 12
    korean = only(f"{half} {twelve}시 {minute}분")
    for english in (f"{hour}:{minute:02}", f"{twelve}:{minute:02} {'p' if hour >= 12 else 'a'}.m."):
        assert korean.readings & only(english).readings
    other = (hour + 12) % 24
    assert not korean.readings & only(f"{twelve}:{minute:02} {'p' if other >= 12 else 'a'}.m.").readings
    assert korean.readings & only(english_form(korean)).readings


TEXT = st.text(alphabet="0123456789,.:/-~'apm만억천백십조월시분오후전 년일번째두세 thousandmillionIVX", max_size=25)


@given(TEXT)
def test_quantities_are_in_order_and_have_the_text_at_their_indices(line: str) -> None:
    end = 0
    for quantity in quantities(line):
        assert end <= quantity.begin < quantity.end
        assert line[quantity.begin : quantity.end] == quantity.text
        assert quantity.readings
        end = quantity.end


@given(TEXT)
def test_the_written_form_has_the_value_of_the_quantity(line: str) -> None:
    for quantity in quantities(line):
        numeric = {reading for reading in quantity.readings if not isinstance(reading, str)}  # "0" of "0십십" is a text
        if quantity.in_digits and numeric:
            assert any(each.readings & numeric for each in quantities(english_form(quantity)))
