"""All formats, with the variations found in real files."""

import csv
import gc
import io
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kotrans.config.sections import Fields, Format, SplitFiles
from kotrans.data.formats import json_text
from kotrans.data.formats.json_text import read_elements
from kotrans.data.formats.reading import read_pairs, stream_pairs
from kotrans.errors import ConfigError, DataError
from kotrans.storage import files
from kotrans.storage.files import stream_text

AI_HUB = Fields(source="원문", target="번역문")
PAIRS = [("안녕하세요.", "Hello."), ('그는 "네"라고 했다.', 'He said, "Yes".'), ("쉼표, 그리고 탭", "Comma, and so on")]
EMPTY_FILES = {
    "tsv": "ko\ten\n",
    "csv": "ko,en\n",
    "jsonl": "\n",
    "json": "[]",
    "tmx": "<tmx><body/></tmx>",
    "po": 'msgid ""\nmsgstr ""\n',
}

# No "\n" and no half surrogate pairs: those do not survive, by design. No lone "\r": csv refuses it unquoted.
LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r"), max_size=20)
SIDES = st.lists(st.tuples(LINE, LINE), min_size=1, max_size=5).filter(lambda sides: all(a and b for a, b in sides))


def read(path: Path, format: Format, fields: Fields | None = None) -> list[tuple[str, str]]:
    return list(zip(*read_pairs(SplitFiles(path=path), format, fields or Fields()), strict=True))


def read_text(folder: Path, format: Format, text: str, fields: Fields | None = None) -> list[tuple[str, str]]:
    path = folder / f"file.{format}"
    path.write_bytes(text.encode("utf-8"))
    return read(path, format, fields)


def read_lines_pair(folder: Path, korean: bytes, english: bytes) -> list[tuple[str, str]]:
    (folder / "a.ko").write_bytes(korean)
    (folder / "a.en").write_bytes(english)
    files = SplitFiles(source=folder / "a.ko", target=folder / "a.en")
    return list(zip(*read_pairs(files, "lines", Fields()), strict=True))


@settings(max_examples=50)
@given(SIDES, st.sampled_from(["tsv", "csv", "jsonl", "json"]))
def test_written_pairs_are_read_back(sides: list[tuple[str, str]], format: Format) -> None:
    if format == "tsv":
        sides = [(ko.replace("\t", ""), en.replace("\t", "") or "x") for ko, en in sides]
        text = "".join(f"{ko}\t{en}\n" for ko, en in [("ko", "en"), *sides])
    elif format == "csv":
        buffer = io.StringIO()
        csv.writer(buffer).writerows([("ko", "en"), *sides])
        text = buffer.getvalue()
    else:
        records = [{"ko": ko, "en": en} for ko, en in sides]
        text = json.dumps(records) if format == "json" else "".join(json.dumps(record) + "\n" for record in records)
    with TemporaryDirectory() as folder:
        assert read_text(Path(folder), format, text) == sides


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.sampled_from([None, 1]), st.integers(1, 9))
def test_the_lists_of_a_json_file_are_read_completely_with_any_surroundings(
    value: Any, indent: int | None, part: int
) -> None:
    lists = {name: inner for name, inner in value.items() if isinstance(inner, list)} if isinstance(value, dict) else {}
    lists = {"": value} if isinstance(value, list) else lists
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_PART", part)  # so that it is cut everywhere
        path = Path(folder) / "any.json"
        path.write_text("\ufeff" + json.dumps(value, indent=indent, ensure_ascii=False) + "\n", "utf-8")
        read: dict[str, list[Any]] = {}
        for element in read_elements(path):
            assert element.number == len(read.setdefault(element.list, [])) + (element.number > 0)
            read[element.list] += [element.value] * (element.number > 0)
        assert read == lists


@given(JSON.filter(lambda value: isinstance(value, list | dict)), st.data())
def test_a_truncated_json_file_is_refused(value: Any, data: st.DataObject) -> None:
    text = json.dumps(value)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "cut.json"
        path.write_text(text[: data.draw(st.integers(0, len(text) - 1))])
        with pytest.raises(DataError, match=r"cut\.json:1: not valid JSON"):
            list(read_elements(path))
        path.write_text(text + data.draw(st.sampled_from([",", "]", "}", "1", "x"])))
        with pytest.raises(DataError, match=r"cut\.json:1: not valid JSON \(there is more text after its end;"):
            list(read_elements(path))


def test_json_without_a_recognizable_end_is_refused_with_its_line_without_reading_it_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_PART", 100)
    taken: list[str] = []

    def recorded(path: Path) -> Iterator[str]:
        for part in stream_text(path):
            taken.append(part)
            yield part

    monkeypatch.setattr(json_text, "stream_text", recorded)
    path = tmp_path / "long.json"
    path.write_text('[{"ko": "네"},\n{"ko": nonsense' + " " * 1_000_000)
    with pytest.raises(DataError, match=r"long\.json:2: not valid JSON \(Expecting value\)"):
        list(read_elements(path))
    assert sum(map(len, taken)) < 100_000


BODIES: dict[Format, tuple[str, str, str]] = {  # prefix, record, suffix
    "tsv": ("ko\ten\n", "문장 {n}\tSentence {n}\n", ""),
    "csv": ("ko,en\n", '"문장 {n}","Sentence {n}"\n', ""),
    "jsonl": ("", '{{"ko": "문장 {n}", "en": "Sentence {n}"}}\n', ""),
    "json": ('{{"data": [1', ', {{"ko": "문장 {n}", "en": "Sentence {n}"}}', "]}}"),
    "tmx": (
        "<tmx><body>",
        '<tu><tuv xml:lang="ko"><seg>문장 {n}</seg></tuv><tuv xml:lang="en"><seg>Sentence {n}</seg></tuv></tu>\n',
        "</body></tmx>",
    ),
    "po": ("", 'msgid "Sentence {n}"\nmsgstr "문장 {n}"\n\n', ""),
    "lines": ("", "문장 {n}\n", ""),
}


def memory_of_reading(folder: Path, format: Format, pairs: int) -> int:
    """Returns the peak memory, in bytes, of reading a number of pairs without keeping them."""
    path = folder / f"{pairs}.{format}"
    before, each, after = BODIES[format]
    text = "".join(each.format(n=n) for n in range(pairs))
    text = text.removeprefix(", ") if format == "json" else text
    path.write_text(before.replace("[1", "[").format() + text + after.format(), "utf-8")
    wanted = SplitFiles(source=path, target=path) if format == "lines" else SplitFiles(path=path)
    tracemalloc.start()
    read = 0
    for read, _ in enumerate(stream_pairs(wanted, format, Fields()), 1):
        if format == "po" and read % 500 == 0:
            gc.collect()  # polib's objects hold one another
    assert read == pairs
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


@pytest.mark.slow
@pytest.mark.parametrize("format", BODIES)
def test_reading_needs_constant_memory(format: Format, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_PART", 10_000)
    few = 3000 if format == "po" else 8000  # more than is read at once
    assert memory_of_reading(tmp_path, format, 3 * few) < 1.5 * memory_of_reading(tmp_path, format, few)


@settings(max_examples=50)
@given(SIDES)
def test_lines_are_split_only_at_line_feeds(sides: list[tuple[str, str]]) -> None:
    if sides[0][0].startswith("\ufeff") or sides[0][1].startswith("\ufeff"):
        return  # a byte order mark at the start of a file is not text
    korean, english = ("".join(side + "\n" for side in column).encode() for column in zip(*sides, strict=True))
    with TemporaryDirectory() as folder:
        assert read_lines_pair(Path(folder), korean, english) == sides


def test_byte_order_marks_crlf_nul_and_odd_separators_do_not_shift_lines(tmp_path: Path) -> None:
    korean = "\ufeff하나\r\n둘\x00둘\r\n셋\u2028셋\x85셋\x0c셋\r\n".encode()
    english = b"one\ntwo\nthree"
    assert [target for _, target in read_lines_pair(tmp_path, korean, english)] == ["one", "two", "three"]
    assert read_lines_pair(tmp_path, korean, english)[0][0] == "하나"


def test_the_error_for_unequal_files_has_both_numbers_of_lines(tmp_path: Path) -> None:
    message = f"{tmp_path}: a.ko has 2 lines but a.en has 1; line N of one must translate line N of the other"
    with pytest.raises(DataError) as caught:
        read_lines_pair(tmp_path, "하나\n둘\n".encode(), b"one\n")
    assert str(caught.value) == message


FIRST_LINES: dict[Format, str] = {
    "lines": "yes",
    "tsv": "ko\ten",
    "csv": "ko,en",
    "jsonl": '{"ko": "1", "en": "1"}',
    "json": "[",
    "po": "# Korean",
}


@pytest.mark.parametrize("format", FIRST_LINES)
def test_the_error_for_cp949_has_file_line_and_encoding(tmp_path: Path, format: Format) -> None:
    text = f"{FIRST_LINES[format]}\n안녕하세요.\tHello.\n".encode("cp949")
    path = tmp_path / "file.any"
    path.write_bytes(text)
    files = SplitFiles(source=path, target=path) if format == "lines" else SplitFiles(path=path)
    with pytest.raises(DataError, match=r"file\.any:2: not UTF-8 text; it looks like cp949"):
        read_pairs(files, format, Fields())


@pytest.mark.parametrize("format", EMPTY_FILES)
@pytest.mark.parametrize("whole", [True, False])
def test_a_file_without_a_pair_is_refused(tmp_path: Path, format: Format, whole: bool) -> None:
    with pytest.raises(DataError, match=f"file.{format}"):
        read_text(tmp_path, format, EMPTY_FILES[format] if whole else "")


def test_files_must_match_the_format(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="format `lines` needs two files"):
        read(tmp_path / "a", "lines")
    with pytest.raises(ConfigError, match="format `tsv` has both sides in one file"):
        read_pairs(SplitFiles(source=tmp_path / "a", target=tmp_path / "b"), "tsv", Fields())


@pytest.mark.parametrize("format", ["tsv", "csv", "jsonl", "json", "tmx", "po", "xlsx"])
def test_a_missing_file_is_an_error(tmp_path: Path, format: Format) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        read(tmp_path / "nowhere", format)


def test_tsv_finds_named_columns_and_keeps_quotation_marks(tmp_path: Path) -> None:
    rows = "".join(f"{n}\t{en}\t{ko}\r\n" for n, (ko, en) in enumerate(PAIRS))
    assert read_text(tmp_path, "tsv", "\ufeffid\ten\tko\r\n" + rows) == PAIRS


def test_columns_may_be_numbered(tmp_path: Path) -> None:
    rows = "".join(f"{en}\t{ko}\tattribution\n" for ko, en in PAIRS)
    assert read_text(tmp_path, "tsv", rows, Fields(source="2", target="1")) == PAIRS


def test_the_error_for_missing_columns_shows_the_header(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"file\.tsv:1: there is no 'ko' and no 'en', but 'Hello\.', '안녕하세요\.'"):
        read_text(tmp_path, "tsv", "Hello.\t안녕하세요.\n")
    with pytest.raises(DataError, match=r"file\.csv:1: there is no 'en', but 'ko', 'English'; say what"):
        read_text(tmp_path, "csv", "ko,English\n네,yes\n")


def test_other_columns_are_ignored_and_trailing_empty_cells_may_be_missing(tmp_path: Path) -> None:
    assert read_text(tmp_path, "tsv", "ko\ten\tby\n네\tyes\tCK\n아니요\tno\n예\tyes\t\t\n\n") == [
        ("네", "yes"),
        ("아니요", "no"),
        ("예", "yes"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "ko,en\r네,yes\r아니요,no\r",
        "ko;en\n네;yes\n아니요;no\n",
        "ko\ten\n네\tyes\n아니요\tno\n",
        "sep=,\nko,en\n네,yes\n아니요,no\n",
        '\ufeff"sep=;"\r\nko;en\r\n네;yes\r\n아니요;no\r\n',
    ],
)
def test_csv_of_other_programs_is_read(tmp_path: Path, text: str) -> None:
    assert read_text(tmp_path, "csv", text) == [("네", "yes"), ("아니요", "no")]


def test_the_separator_of_csv_without_a_header_is_the_one_its_rows_agree_on(tmp_path: Path) -> None:
    numbered = Fields(source="1", target="2")
    assert read_text(tmp_path, "csv", "네;yes\n가, 나;a, b, c\n", numbered) == [("네", "yes"), ("가, 나", "a, b, c")]
    assert read_text(tmp_path, "csv", "네,yes; well\n가,a\n", numbered) == [("네", "yes; well"), ("가", "a")]


def test_quotation_marks_in_csv_may_be_escaped_with_backslashes(tmp_path: Path) -> None:
    text = 'ko,en\n"그는 \\"응\\" 했다","He said \\"yes\\""\n"C:\\",C:\\new\n"둘\n\\"셋\\"",2\n'
    expected = [('그는 "응" 했다', 'He said "yes"'), ("C:\\", "C:\\new"), ('둘 "셋"', "2")]
    assert read_text(tmp_path, "csv", text) == expected


def test_lines_may_end_with_carriage_returns_alone(tmp_path: Path) -> None:
    assert read_lines_pair(tmp_path, "가.\r나.\r".encode(), b"a.\rb.\r") == [("가.", "a."), ("나.", "b.")]


def test_csv_cells_may_hold_line_breaks_commas_and_quotes(tmp_path: Path) -> None:
    text = 'en,ko\n"one, ""two""\nthree","하나\r\n둘"\n'
    assert read_text(tmp_path, "csv", text) == [("하나 둘", 'one, "two" three')]
    assert read_text(tmp_path, "csv", 'ko,en\n"네\r네",yes\n') == [("네\r네", "yes")]


@pytest.mark.parametrize("wrap", [lambda records: records, lambda records: {"total": len(records), "data": records}])
def test_ai_hub_json(tmp_path: Path, wrap: object) -> None:
    """A list of objects, or an object with it as `data`; the fields are 원문 and 번역문, or ko and en."""
    assert callable(wrap)
    records = [{"sn": str(n), "원문": ko, "번역문": en, "ko": ko, "en": en} for n, (ko, en) in enumerate(PAIRS)]
    text = json.dumps(wrap(records), ensure_ascii=False)
    assert read_text(tmp_path, "json", text, AI_HUB) == read_text(tmp_path, "json", text) == PAIRS


def test_fields_inside_objects_are_named_with_dots(tmp_path: Path) -> None:
    fields = Fields(source="translation.ko", target="translation.en")
    nested = [{"translation": {"ko": ko, "en": en}} for ko, en in PAIRS]
    assert read_text(tmp_path, "json", json.dumps(nested), fields) == PAIRS
    assert read_text(tmp_path, "jsonl", json.dumps(nested[0]) + "\n\n", fields) == PAIRS[:1]
    dotted = {"translation.ko": "네", "translation.en": "yes"}
    assert read_text(tmp_path, "jsonl", json.dumps(dotted), fields) == [("네", "yes")]


JSON_MISTAKES = {
    '{"ko": "네"\n': r":1: not valid JSON",
    '{"ko": "네"}': r":1: there is no 'en', but 'ko'",
    '["네", "yes"]': r":1: is text, not an object",
    '["네"]\n["아니요"]': r":1: is a list, not an object",
    '{"ko": ["네"], "en": "yes"}': r":1: ko: is a list, not text",
    '{"translation": {"ko": "네", "en": "yes"}}': r"fields: \{source: translation\.ko, target: translation\.en\}",
}


@pytest.mark.parametrize(("text", "message"), JSON_MISTAKES.items(), ids=range(len(JSON_MISTAKES)))
def test_json_lines_without_a_valid_one_are_refused_with_the_first_problem(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(DataError, match=r"none of its \d records is a pair; check `format` and `fields` .*" + message):
        read_text(tmp_path, "jsonl", text)


@pytest.mark.parametrize("text", ["{" * 100_000, "[" * 100_000, '{"a":' * 100_000])
@pytest.mark.parametrize("format", ["json", "jsonl"])
def test_json_nested_too_deeply_is_a_one_line_error(tmp_path: Path, text: str, format: Format) -> None:
    with pytest.raises(DataError, match=rf"^[^\n]*file\.{format}:1: (not valid JSON|JSON that cannot be read)[^\n]*$"):
        read_text(tmp_path, format, text)


def test_json_without_one_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"needs a list of objects, .* but has none"):
        read_text(tmp_path, "json", '{"ko": "네"}')
    with pytest.raises(DataError, match=r"but has 2 lists \(a, b\)"):
        read_text(tmp_path, "json", '{"a": [], "b": []}')


def test_json_and_json_lines_are_detected_regardless_of_the_format(tmp_path: Path) -> None:
    records = [{"ko": ko, "en": en} for ko, en in PAIRS]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    values = [json.dumps(value, indent=indent) for value in (records, {"data": records}) for indent in (None, 1)]
    for text in [lines, "\ufeff\n" + lines, *values, '{"data":[\n' + json.dumps(records)[1:] + "}"]:
        assert read_text(tmp_path, "jsonl", text) == read_text(tmp_path, "json", text) == PAIRS


def test_two_json_files_in_one_are_refused_with_the_line(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"file\.json:2: not valid JSON \(there is more text after its end; a file holds one"
    ):
        read_text(tmp_path, "json", '[{"ko": "네", "en": "yes"}]\n[{"ko": "아니요", "en": "no"}]')


def test_byte_order_marks_between_concatenated_files_are_ignored(tmp_path: Path) -> None:
    line = '{"ko": "네", "en": "yes"}\n'
    assert read_text(tmp_path, "jsonl", f"\ufeff{line}\ufeff{line}") == [("네", "yes")] * 2
    assert read_text(tmp_path, "json", f"\ufeff[{line},\ufeff{line}]") == [("네", "yes")] * 2
    assert read_text(tmp_path, "csv", "\ufeff\ufeffko,en\n네,yes\n") == [("네", "yes")]
    message = 'msgid "yes"\nmsgstr "네"\n'
    assert read_text(tmp_path, "po", f"\ufeff{message}\ufeff{message}") == [("네", "yes")] * 2


def test_a_trailing_comma_in_a_list_is_accepted(tmp_path: Path) -> None:
    assert read_text(tmp_path, "json", '[{"ko": "네", "en": "yes"},\n]') == [("네", "yes")]


def test_numbers_are_read_as_text_and_null_as_empty(tmp_path: Path) -> None:
    text = '{"ko": 3, "en": 1.5}\n{"ko": null, "en": "a"}\n'
    assert read_text(tmp_path, "jsonl", text) == [("3", "1.5"), ("", "a")]


def test_a_lone_surrogate_is_replaced(tmp_path: Path) -> None:
    assert read_text(tmp_path, "jsonl", '{"ko": "\\ud83d네", "en": "a\\nb"}') == [("\ufffd네", "a b")]
