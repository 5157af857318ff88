"""Malformed records are skipped in every format, up to a limit."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kotrans.config.sections import Fields, Format, SplitFiles
from kotrans.data.formats.pairs import EXAMPLES, Skipped
from kotrans.data.formats.reading import NoText, stream_pairs
from kotrans.data.formats.text_lines import text_lines
from kotrans.errors import DataError, KotransError

GOOD: dict[Format, tuple[str, str, str]] = {  # prefix, record, suffix
    "tsv": ("ko\ten\n", "문장 {n}\tSentence {n}\n", ""),
    "csv": ("ko,en\n", "문장 {n},Sentence {n}\n", ""),
    "jsonl": ("", '{{"ko": "문장 {n}", "en": "Sentence {n}"}}\n', ""),
    "json": ("[\n", '{{"ko": "문장 {n}", "en": "Sentence {n}"}},\n', "]"),
    "tmx": (
        "<tmx><body>\n",
        '<tu><tuv xml:lang="ko"><seg>문장 {n}</seg></tuv><tuv xml:lang="en"><seg>Sentence {n}</seg></tuv></tu>\n',
        "</body></tmx>",
    ),
    "po": ("\n", 'msgid "Sentence {n}"\nmsgstr "문장 {n}"\n\n', ""),
}
BAD: tuple[tuple[Format, str, str], ...] = (
    ("tsv", "가 나 다.\tA B\tC.\n", "columns"),
    ("tsv", "가 나 다.\n", "columns"),
    ("csv", "가, 나,a\n", "columns"),
    ("csv", '가,"a\n', "syntax"),
    ("csv", '"가"나,a\n', "syntax"),
    ("jsonl", '{"ko": "가", "en": \n', "syntax"),
    ("jsonl", '{"ko": "가"}\n', "fields"),
    ("jsonl", '{"ko": "가", "en": NaN}\n', "not_text"),
    ("jsonl", '{"ko": true, "en": "a"}\n', "not_text"),
    ("jsonl", '{"ko": {"text": "가"}, "en": "a"}\n', "not_text"),
    ("jsonl", f'{{"ko": "가", "en": {"1" * 5000}}}\n', "syntax"),
    ("jsonl", "null\n", "fields"),
    ("json", '{"ko": (생략), "en": "a"},\n', "syntax"),
    ("json", '{"ko": "가", "en": "a},\n', "syntax"),
    ("json", '{"ko": "가" "en": "{[", "more": [{}]},\n', "syntax"),
    ("json", '{"ko": ["가"], "en": "a"},\n', "not_text"),
    ("json", '"가",\n', "fields"),
    ("tmx", "<tu><tuv xml:lang='ko'><seg>가</seg></tuv><tuv xml:lang='en'><seg>a < b</seg></tuv></tu>\n", "syntax"),
    ("tmx", "<tu><tuv xml:lang='ko'>가</tuv><tuv xml:lang='en'><seg>a</seg></tuv></tu>\n", "fields"),
    ("po", 'msgid "a\nmsgstr "가"\n\n', "syntax"),
    ("po", 'msgid "a"\nmsgstr 가\n\n', "syntax"),
    ("po", 'msgid "a"\nmsgstr "가" b"\n\n', "syntax"),
)


def read(
    path: Path, format: Format, skipped: Skipped | None = None, share: float = 0.01, fields: Fields | None = None
) -> list[tuple[str, str]]:
    return list(stream_pairs(SplitFiles(path=path), format, fields or Fields(), skipped, share))


def write(folder: Path, format: Format, records: list[str]) -> Path:
    before, _, after = GOOD[format]
    path = folder / f"file.{format}"
    path.write_text(before + "".join(records) + after, encoding="utf-8")
    return path


def good(format: Format, count: int) -> list[str]:
    return [GOOD[format][1].format(n=n) for n in range(count)]


def pairs(count: int) -> list[tuple[str, str]]:
    return [(f"문장 {n}", f"Sentence {n}") for n in range(count)]


@pytest.mark.parametrize(("format", "bad", "reason"), BAD)
@pytest.mark.parametrize("place", [0, 3, 6])
def test_a_malformed_record_is_counted_with_its_line_and_reading_continues(
    tmp_path: Path, format: Format, bad: str, reason: str, place: int
) -> None:
    records = good(format, 6)
    path = write(tmp_path, format, [*records[:place], bad, *records[place:]])
    skipped = Skipped()
    assert read(path, format, skipped) == pairs(6)
    assert skipped.malformed == {reason: 1}
    (example,) = skipped.examples[reason]
    before = (GOOD[format][0] + "".join(records[:place])).count("\n")
    assert any(example.startswith(f"{path}:{line}: ") for line in range(before + 1, before + 1 + bad.count("\n")))


@pytest.mark.parametrize("format", GOOD)
def test_a_file_is_refused_if_too_large_a_share_is_malformed(tmp_path: Path, format: Format) -> None:
    bad = next(record for kind, record, _ in BAD if kind == format)
    path = write(tmp_path, format, [*good(format, 594), *[bad] * 6])
    assert read(path, format) == pairs(594)
    with pytest.raises(DataError) as caught:
        read(path, format, share=0.009)
    message = str(caught.value)
    assert message.startswith(
        f"{path}: 6 of 600 records (1.0%) are malformed, more than cleaning.max_malformed (0.009)"
    )
    assert message.count(f"{path}:") == 1 + EXAMPLES
    assert "\n" not in message


def test_a_few_malformed_records_are_accepted_in_a_short_file_unless_none_is_allowed(tmp_path: Path) -> None:
    path = write(tmp_path, "tsv", [*good("tsv", 4), "한 칸\n"])
    assert read(path, "tsv") == pairs(4)
    with pytest.raises(
        DataError, match=r"1 of 5 records \(20.0%\) are malformed, more than cleaning.max_malformed \(0\)"
    ):
        read(path, "tsv", share=0)
    path = write(tmp_path, "tsv", [*good("tsv", 4), *["한 칸\n"] * 6])
    with pytest.raises(DataError, match=r"6 of 10 records \(60.0%\)"):
        read(path, "tsv")
    assert read(path, "tsv", share=1) == pairs(4)


@pytest.mark.parametrize("share", [0.01, 1])
def test_a_file_without_a_valid_record_is_always_refused(tmp_path: Path, share: float) -> None:
    path = write(tmp_path, "jsonl", ['{"한국어": "가", "en": "a"}\n'] * 3)
    with pytest.raises(DataError, match=r"none of its 3 records is a pair; check `format` and `fields` .*'한국어'"):
        read(path, "jsonl", share=share)


def test_a_large_file_without_a_valid_record_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = write(tmp_path, "jsonl", ['{"한국어": "가", "en": "a"}\n'] * 1000 + good("jsonl", 1))
    with pytest.raises(DataError, match="none of the first 1,000 records is a pair"):
        read(path, "jsonl", share=1)


def test_an_empty_side_is_not_malformed(tmp_path: Path) -> None:
    skipped = Skipped()
    assert read(write(tmp_path, "tsv", ["가\t\n", "\tb\n", "다\tc\n"]), "tsv", skipped) == [
        ("가", ""),
        ("", "b"),
        ("다", "c"),
    ]
    assert skipped == Skipped()


def test_an_unclosed_quotation_mark_does_not_consume_the_following_records(tmp_path: Path) -> None:
    records = good("csv", 3000)
    skipped = Skipped()
    path = write(tmp_path, "csv", [*records[:1000], '가,"a\n', '나,b"\n', '"다\n', *records[1000:]])
    assert read(path, "csv", skipped) == [*pairs(1000), ("가", "a 나,b"), *pairs(3000)[1000:]]
    assert skipped.malformed == {"syntax": 1}


@pytest.mark.parametrize("kind", ["tsv", "csv", "jsonl"])
def test_a_line_that_is_not_utf_8_is_skipped_in_a_utf_8_file(tmp_path: Path, kind: Format) -> None:
    records = good(kind, 4)
    path = write(tmp_path, kind, records)
    path.write_bytes(path.read_bytes() + records[0].encode()[:-2].replace("장".encode(), b"\xec\x9e") + b"\n")
    skipped = Skipped()
    assert read(path, kind, skipped) == pairs(4)
    assert skipped.malformed == {"encoding": 1}
    line = path.read_bytes().count(b"\n")
    assert skipped.examples["encoding"][0].startswith(f"{path}:{line}: not UTF-8 text")


def test_a_line_that_is_not_utf_8_is_skipped_with_its_translation(tmp_path: Path) -> None:
    (tmp_path / "a.ko").write_bytes("하나\n둘\n".encode() + b"\xec\xec\n" + "넷\n".encode())
    (tmp_path / "a.en").write_bytes("one\ntwo\ncafé\nfour\n".encode())
    files = SplitFiles(source=tmp_path / "a.ko", target=tmp_path / "a.en")
    skipped = Skipped()
    expected = [("하나", "one"), ("둘", "two"), ("넷", "four")]
    assert list(stream_pairs(files, "lines", Fields(), skipped)) == expected
    assert skipped.malformed == {"encoding": 1}


def test_counts_of_several_files_add_up_with_the_first_examples() -> None:
    total = Skipped()
    for file in ("a", "b"):
        one = Skipped(file)
        for number in range(2):
            one.reject("columns", f"{file}:{number}", "is bad")
        one.pass_over("fuzzy")
        total.add(one)
    assert (total.malformed, total.unused) == ({"columns": 4}, {"fuzzy": 2})
    assert total.examples == {"columns": ["a:0: is bad", "a:1: is bad", "b:0: is bad"]}


LINES = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r"), max_size=6), max_size=8)


@given(LINES, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.integers(1, 12))
def test_the_part_size_does_not_change_the_lines(lines: list[str], end: str, last_ends: bool, part: int) -> None:
    text = end.join(lines) + (end if last_ends and lines else "")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        path.write_bytes(text.encode())
        skipped = Skipped()
        expected = lines if last_ends or not lines or lines[-1] else lines[:-1]
        if expected and expected[0].startswith("\ufeff"):
            expected = [expected[0][1:], *expected[1:]]
            expected = [] if expected == [""] and not (last_ends and lines) else expected
        assert list(text_lines(path, skipped, part)) == expected
        assert not skipped.malformed


@given(st.lists(st.integers(0, 12), min_size=1, max_size=6), st.integers(1, 4))
def test_a_line_that_is_too_long_is_skipped(lengths: list[int], part: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        path.write_bytes(b"".join(b"x" * length + b"\n" for length in lengths))
        skipped = Skipped()
        read = list(text_lines(path, skipped, part, longest=6))
        assert len(read) == len(lengths)
        for line, length in zip(read, lengths, strict=True):
            assert line == "x" * length if length <= 6 else line is None or length <= 6 + max(part, 3)
        assert skipped.malformed.total() == read.count(None)


WORDS = """가|a| |,|;|"|\\|{|}|[|]|:|null|NaN|1e999|"ko"|"en"|ko|en|<tmx>|<body>|<tu>|</tu>|<tu/>|</tuv>|<seg>|</seg>
<tuv xml:lang="ko">|<tuv xml:lang="en">|<ph>|</ph>|</body>|</tmx>|<!--|-->|<![CDATA[|]]>|&amp;|&nbsp;|&#0;
<!DOCTYPE t [<!ENTITY a 'b'>]>|<?xml version="1.0" encoding="utf-16"?>|<?xml version="1.0" encoding="rot13"?>
msgid |msgstr |msgstr[0] |msgstr[9|msgid_plural |msgctxt |#~ |#, fuzzy|(_F)|&File|__|sep=;"""
PIECES = st.sampled_from(
    [*WORDS.replace("\n", "|").split("|"), "\t", "\n", "\r", "|", "\ufeff", "\x00", "\u2028", "\ud7ff", "1" * 5000]
)
ANY_BYTES = st.one_of(
    st.binary(max_size=200),
    st.lists(PIECES, max_size=40).map(lambda pieces: "".join(pieces).encode()),
    st.lists(PIECES, max_size=20).map(lambda pieces: "".join(pieces).encode("utf-16")),
    st.tuples(st.lists(PIECES, max_size=20), st.binary(max_size=9)).map(
        lambda both: "".join(both[0]).encode() + both[1]
    ),
)
FIELDS = st.sampled_from(
    [Fields(), Fields(source="1", target="2"), Fields(source="a.ko", target="en"), Fields(sheet="a")]
)
FORMATS = st.sampled_from(["lines", "tsv", "csv", "jsonl", "json", "tmx", "po", "xlsx"])


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(ANY_BYTES, FORMATS, FIELDS, st.sampled_from([0, 0.01, 1]))
def test_any_bytes_in_any_format_yield_pairs_and_counts_or_a_one_line_error(
    data: bytes, format: Format, fields: Fields, share: float
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        files = SplitFiles(source=path, target=path) if format == "lines" else SplitFiles(path=path)
        skipped = Skipped()
        try:
            read = list(stream_pairs(files, format, fields, skipped, share))
        except KotransError as error:
            message = str(error)
            assert message.startswith(str(path))
            assert "\n" not in message
            assert len(message) < 4000
        else:
            assert read or skipped.unused
            assert all(isinstance(side, str) and "\n" not in side for pair in read for side in pair)
            assert all("\n" not in example for examples in skipped.examples.values() for example in examples)
            "".join(side for pair in read for side in pair).encode()


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_file_yields_the_other_records_or_a_one_line_error(data: st.DataObject) -> None:
    format = data.draw(st.sampled_from(sorted(GOOD)))
    records = good(format, 8)
    text = (GOOD[format][0] + "".join(records) + GOOD[format][2]).encode()
    at = data.draw(st.integers(0, len(text)))
    damaged = text[:at] + data.draw(ANY_BYTES) + text[at + data.draw(st.integers(0, 20)) :]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(damaged)
        try:
            read = list(stream_pairs(SplitFiles(path=path), format, Fields(), None, 1))
        except KotransError as error:
            read = [(str(error), "")]
        assert all("\n" not in side for pair in read for side in pair)


def test_a_file_without_text_raises_its_own_error(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"ko": "", "en": None}) + "\n")
    with pytest.raises(NoText, match="there is no text in it"):
        read(path, "jsonl")
