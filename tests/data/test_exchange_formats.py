"""Translation memories and message catalogues."""

import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.sax.saxutils import escape

import polib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kotrans.config.sections import Fields, Format, SplitFiles
from kotrans.data.formats.pairs import Skipped
from kotrans.data.formats.po import read_po
from kotrans.data.formats.reading import stream_pairs
from kotrans.data.formats.tmx import read_units
from kotrans.errors import DataError

TMX = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4"><header srclang="en"/><body>
<tu><tuv xml:lang="en-US"><seg>Press <bpt i="1">&lt;b&gt;</bpt>Start<ept i="1"/> now.</seg></tuv>
    <tuv xml:lang="ko-KR"><seg>지금 시작을
누르세요.</seg></tuv></tu>
<tu><tuv lang="EN"><seg>Yes.</seg></tuv><tuv lang="KO"><seg>네.</seg></tuv><tuv lang="ko"><seg>예.</seg></tuv></tu>
<tu><tuv xml:lang="en"><seg>Only English.</seg></tuv><tuv xml:lang="kok"><seg>Konkani.</seg></tuv></tu>
</body></tmx>"""

PO = """
msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\\n"

msgid "Open the file"
msgstr "파일을 "
"여세요"

#, fuzzy
msgid "Close the file"
msgstr "파일을 여세요"

msgid "Not translated"
msgstr ""

msgid "%d file"
msgid_plural "%d files"
msgstr[0] "파일 %d개"

msgid "two\\nlines"
msgstr "두\u2028 줄"

#~ msgid "Old"
#~ msgstr "옛것"
"""

FINISHED = [("파일을 여세요", "Open the file"), ("파일 %d개", "%d files"), ("두  줄", "two lines")]

# XML cannot hold most control characters, and reads "\\r" as "\\n".
XML_LINE = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1)


def stream(
    folder: Path, format: Format, text: str | bytes, fields: Fields | None = None, skipped: Skipped | None = None
) -> Iterator[tuple[str, str]]:
    path = folder / f"file.{format}"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return stream_pairs(SplitFiles(path=path), format, fields or Fields(), skipped)


def read_text(folder: Path, format: Format, text: str | bytes, fields: Fields | None = None) -> list[tuple[str, str]]:
    return list(stream(folder, format, text, fields))


def test_tmx_is_read_without_formatting_codes_and_with_any_region(tmp_path: Path) -> None:
    assert read_text(tmp_path, "tmx", TMX) == [("지금 시작을 누르세요.", "Press Start now."), ("네.", "Yes.")]


def unit(korean: str, english: str, languages: tuple[str, str] = ("ko", "en")) -> str:
    return f"<tu>{variant(languages[0], korean)}{variant(languages[1], english)}</tu>\n"


def variant(language: str, text: str) -> str:
    return f'<tuv xml:lang="{language}"><seg>{text}</seg></tuv>'


def memory(*units: str) -> str:
    return f'<tmx version="1.4">\n<body>\n{"".join(units)}</body></tmx>'


INLINE = {
    'Press <bpt i="1">&lt;b&gt;</bpt>Start<ept i="1">&lt;/b&gt;</ept> <ph>{\\f1 }</ph>now <hi>please</hi>.': (
        "Press Start now please."
    ),
    "A <it pos='begin'>x</it><ut>y</ut>b <g id='1'>c</g>": "A b c",
    "See<ph>&lt;fn <hi>code</hi> <sub>a note with <ph>more</ph>text</sub>&gt;</ph>.": "Seea note with text.",
    "<![CDATA[a < b]]> &#38; c": "a < b & c",
}


@pytest.mark.parametrize(("segment", "text"), INLINE.items())
def test_the_content_of_tmx_codes_is_removed_and_other_text_kept(tmp_path: Path, segment: str, text: str) -> None:
    assert read_text(tmp_path, "tmx", memory(unit("가", segment))) == [("가", text)]


@pytest.mark.parametrize("wanted", [("ko", "en"), ("ko-KR", "en-US"), ("kor", "eng"), ("KO_kr", "EN_us")])
def test_languages_are_found_in_every_spelling(tmp_path: Path, wanted: tuple[str, str]) -> None:
    spellings = [("ko", "en"), ("KO_kr", "en-US"), ("kor", "EN_us"), ("ko-KR", "eng")]
    other = unit("あ", "a", ("ja", "fr"))
    text = memory(*(unit(f"가{n}", f"a{n}", codes) for n, codes in enumerate(spellings)), other)
    skipped = Skipped()
    pairs = list(stream(tmp_path, "tmx", text, Fields(source=wanted[0], target=wanted[1]), skipped))
    assert pairs == [(f"가{n}", f"a{n}") for n in range(4)]
    assert skipped.unused == {"languages": 1}
    assert not skipped.malformed


def test_the_configured_region_is_preferred_and_no_other_region_matches(tmp_path: Path) -> None:
    variants = [("en-GB", "lift"), ("en-US", "elevator"), ("en", "elevator or lift"), ("ko", "승강기")]
    tuvs = "".join(variant(code, text) for code, text in variants)
    text = memory(f"<tu>{tuvs}</tu>", unit("네", "aye", ("ko", "en-GB")))
    assert read_text(tmp_path, "tmx", text, Fields(target="en-us")) == [("승강기", "elevator")]
    assert read_text(tmp_path, "tmx", text) == [("승강기", "elevator or lift"), ("네", "aye")]


BAD_UNITS = {
    "control character": (unit("나", "a\x1fb"), "not well-formed.*remove control characters"),
    "reference to one": (unit("나", "a&#x1F;b"), "reference to invalid character number.*remove the control character"),
    "bare <": (unit("나", "a < b"), "not well-formed.*write & as &amp; and < as &lt;"),
    "bare &": (unit("나", "R&D"), "not well-formed"),
    "entity of HTML": (unit("나", "a&nbsp;b"), "undefined entity.*&#160;"),
    "mismatched tags": (unit("나", "<b>a</i>"), "mismatched tag"),
    "no end": ('<tu><tuv xml:lang="ko"><seg>나', "begins before its end tag"),
    "open section": (unit("나", "<![CDATA[b"), "unclosed CDATA section"),
    "cp949": (unit("나", "a").encode("cp949").decode("latin-1"), "not well-formed"),
}


@pytest.mark.parametrize("part", [7, 100, 2**16])
@pytest.mark.parametrize("doctype", ["", '<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n'])
@pytest.mark.parametrize("bad", BAD_UNITS)
def test_a_unit_that_is_not_xml_is_skipped(tmp_path: Path, bad: str, doctype: str, part: int) -> None:
    broken, problem = BAD_UNITS[bad]
    units = [unit("가", "a"), broken, unit("다", "c"), broken, unit("라", "d")]
    text = (doctype + memory()).encode().partition(b"</body>")
    data = [each.encode("latin-1") if bad == "cp949" and each == broken else each.encode() for each in units]
    (tmp_path / "a.tmx").write_bytes(text[0] + b"".join(data) + b"".join(text[1:]))
    skipped = Skipped()
    read = [tuple(text for _, text in unit.texts) for unit in read_units(tmp_path / "a.tmx", skipped, part)]
    assert read == [("가", "a"), ("다", "c"), ("라", "d")]
    assert skipped.malformed == {"syntax": 2}
    line = 4 + doctype.count("\n")
    first, last = (
        rf"a\.tmx:{n}: .*{problem}" for n in ("[0-9]+" if bad in ("no end", "open section") else line, "[0-9]+")
    )
    assert re.search(first, skipped.examples["syntax"][0])
    assert re.search(last, skipped.examples["syntax"][1])


@pytest.mark.parametrize("part", [7, 100, 2**16])
def test_units_are_numbered_by_their_lines_after_broken_ones(tmp_path: Path, part: int) -> None:
    broken = unit("나", "a < b")
    (tmp_path / "a.tmx").write_text(memory(unit("가", "a"), broken, "\n\n", broken, unit("다", "c")))
    skipped = Skipped()
    assert [unit.line for unit in read_units(tmp_path / "a.tmx", skipped, part)] == [3, 8]
    assert [re.findall(r":(\d+):", example)[0] for example in skipped.examples["syntax"]] == ["4", "7"]


def test_a_truncated_memory_is_refused(tmp_path: Path) -> None:
    text = memory(unit("가", "a"), unit("나", "b"))
    for end in (len(text) - 3, text.index("나")):
        with pytest.raises(DataError, match=r"file\.tmx:\d: .*the file ends too early: is it complete\?"):
            read_text(tmp_path, "tmx", text[:end])


def test_a_unit_without_end_is_abandoned_and_not_kept_in_memory(tmp_path: Path) -> None:
    endless = '<tu><tuv xml:lang="ko"><seg>' + "나 " * 600_000 + "</seg></tuv>"
    skipped = Skipped()
    assert list(stream(tmp_path, "tmx", memory(unit("가", "a"), endless, unit("다", "c")), None, skipped)) == [
        ("가", "a"),
        ("다", "c"),
    ]
    assert skipped.malformed == {"too_long": 1}


def test_text_outside_of_seg_is_an_error(tmp_path: Path) -> None:
    direct = '<tu><tuv xml:lang="ko">나</tuv><tuv xml:lang="en">b</tuv></tu>'
    with pytest.raises(DataError, match=r"none of its 1 records is a pair.*file\.tmx:3: a <tuv> without a <seg>"):
        read_text(tmp_path, "tmx", memory(direct))
    skipped = Skipped()
    assert list(stream(tmp_path, "tmx", memory(unit("가", "a"), direct), None, skipped)) == [("가", "a")]
    assert skipped.malformed == {"fields": 1}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "euc-kr", "utf-8-sig"])
def test_tmx_in_its_declared_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>' + memory(unit("안녕", "Hello"))
    assert read_text(tmp_path, "tmx", text.encode(encoding)) == [("안녕", "Hello")]


def test_tmx_in_utf_8_with_another_declared_encoding_is_read(tmp_path: Path) -> None:
    text = '<?xml version="1.0" encoding="UTF-16"?>' + memory(unit("안녕", "Hello"))
    assert read_text(tmp_path, "tmx", text) == [("안녕", "Hello")]


def test_tmx_in_utf_16_is_read(tmp_path: Path) -> None:
    assert len(read_text(tmp_path, "tmx", TMX.replace("UTF-8", "UTF-16").encode("utf-16"))) == 2


def test_the_error_for_a_missing_language_lists_the_languages_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"file\.tmx: there is no 'de', but 'en', 'en-us', 'ko', 'ko-kr'"):
        read_text(tmp_path, "tmx", TMX, Fields(source="de"))


TMX_MISTAKES = {
    "<tmx>\n<body></tmx>": r"file\.tmx:2: not valid XML",
    '<!DOCTYPE t [<!ENTITY a "aaaa">]><tmx><tu>&a;</tu></tmx>': r"declares XML entities, which are unsafe",
    '<?xml version="1.0" encoding="nonsense"?><tmx/>': r"file\.tmx: is not in its declared encoding",
    '<!DOCTYPE t [<!ENTITY a SYSTEM "file:///etc/passwd">]><tmx><tu>&a;</tu></tmx>': r"declares XML entities",
    "just text": r"file\.tmx:1: not valid XML",
}


@pytest.mark.parametrize(("text", "message"), TMX_MISTAKES.items(), ids=["cut", "entity", "encoding", "file", "text"])
def test_bad_tmx_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_text(tmp_path, "tmx", text)


@settings(max_examples=50)
@given(st.lists(st.tuples(XML_LINE, XML_LINE), min_size=1, max_size=5))
def test_written_tmx_is_read_back(sides: list[tuple[str, str]]) -> None:
    units = (
        f'<tu><tuv xml:lang="ko"><seg>{escape(ko)}</seg></tuv><tuv xml:lang="en"><seg>{escape(en)}</seg></tuv></tu>'
        for ko, en in sides
    )
    with TemporaryDirectory() as folder:
        assert read_text(Path(folder), "tmx", f"<tmx><body>{''.join(units)}</body></tmx>") == sides


def test_po_yields_translated_messages_and_counts_the_others(tmp_path: Path) -> None:
    skipped = Skipped()
    assert list(stream(tmp_path, "po", PO, None, skipped)) == FINISHED
    assert skipped.unused == {"fuzzy": 1, "untranslated": 1, "obsolete": 1}
    assert not skipped.malformed


PO_BETWEEN = """
#, fuzzy

msgid "A comment before a blank line"
msgstr "주석과 빈 줄"

msgid "A blank line inside"

msgstr ""
"안에 "
"빈 줄"
# of the next one
#| msgid "What it was before"
msgctxt "a context"
msgid "No line between"
msgstr "사이에 줄이 없음"
#~ msgid ""
#~ "Old"
#~ msgstr ""
#~ "옛것"
"""


@pytest.mark.parametrize("lines", range(12))
def test_the_part_size_does_not_change_the_messages(lines: int, tmp_path: Path) -> None:
    path = tmp_path / "file.po"
    path.write_text(PO + PO_BETWEEN, encoding="utf-8")
    expected = [*FINISHED, ("안에 빈 줄", "A blank line inside"), ("사이에 줄이 없음", "No line between")]
    assert list(read_po(path, Fields(), Skipped(), lines)) == expected
    path.write_text(PO + PO_BETWEEN + "nonsense\n", encoding="utf-8")
    skipped = Skipped()
    assert list(read_po(path, Fields(), skipped, lines)) == expected
    line = (PO + PO_BETWEEN).count("\n") + 1
    assert skipped.examples == {"syntax": [f"{path}:{line}: not valid PO"]}


def test_a_message_that_is_not_po_is_skipped(tmp_path: Path) -> None:
    broken = 'msgid "a"\nnonsense\n\n', 'msgid "c"\nmsgstr "다 " x"\n\n', '#, fuzzy\n\nmsgid "e"\nmsgstr "마"\n\n'
    good = [f'msgid "good {n}"\nmsgstr "좋음 {n}"\n\n' for n in range(4)]
    text = "".join(part for pair in zip(good, (*broken, ""), strict=True) for part in pair)
    skipped = Skipped()
    assert list(stream(tmp_path, "po", text, None, skipped)) == [(f"좋음 {n}", f"good {n}") for n in range(4)]
    assert skipped.malformed == {"syntax": 2}
    assert skipped.unused == {"fuzzy": 1}
    assert [re.findall(r":(\d+): not valid PO", example) for example in skipped.examples["syntax"]] == [["5"], ["11"]]


def test_a_message_that_is_not_utf_8_is_skipped(tmp_path: Path) -> None:
    messages = [f'msgid "good {n}"\nmsgstr "좋음 {n}"\n\n'.encode() for n in range(2)]
    text = messages[0] + b'msgid "bad"\nmsgstr "\xb3\xaa\xff"\n\n' + messages[1]
    skipped = Skipped()
    assert list(stream(tmp_path, "po", text, None, skipped)) == [("좋음 0", "good 0"), ("좋음 1", "good 1")]
    assert skipped.malformed == {"encoding": 1}


def test_every_form_of_a_plural_is_a_pair(tmp_path: Path) -> None:
    plural = 'msgid "a file"\nmsgid_plural "%d files"\nmsgstr[0] "파일 {}개"\n'
    assert read_text(tmp_path, "po", plural) == [("파일 {}개", "%d files")]
    two = plural + 'msgstr[1] "파일 %d개"\n'
    assert read_text(tmp_path, "po", two) == [("파일 {}개", "a file"), ("파일 %d개", "%d files")]
    english = 'msgid "파일"\nmsgid_plural "파일들"\nmsgstr[0] "file"\nmsgstr[1] "files"\n'
    fields = Fields(source="msgid", target="msgstr")
    assert read_text(tmp_path, "po", english, fields) == [("파일", "file"), ("파일들", "files")]
    skipped = Skipped()
    empty = 'msgid "a"\nmsgid_plural "b"\nmsgstr[0] ""\n'
    assert list(stream(tmp_path, "po", empty, None, skipped)) == []
    assert skipped.unused == {"untranslated": 1}


def test_a_message_of_two_contexts_is_two_pairs(tmp_path: Path) -> None:
    text = "".join(f'msgctxt "{n}"\nmsgid "Open"\nmsgstr "{ko}"\n\n' for n, ko in enumerate(("열기", "열림")))
    assert read_text(tmp_path, "po", text) == [("열기", "Open"), ("열림", "Open")]


@pytest.mark.parametrize("charset", ["EUC-KR", "CHARSET", "UTF-8"])
def test_po_is_read_as_utf_8_regardless_of_its_header(tmp_path: Path, charset: str) -> None:
    text = f'msgid ""\nmsgstr "Content-Type: text/plain; charset={charset}\\n"\n\nmsgid "Yes"\nmsgstr "네"\n'
    assert read_text(tmp_path, "po", text) == [("네", "Yes")]
    with pytest.raises(DataError, match=r"file\.po:5: not UTF-8 .* convert it with `iconv -f cp949 -t utf-8`"):
        read_text(tmp_path, "po", text.replace("네", "똠방").encode("cp949"))


def test_a_catalogue_without_translations_is_not_an_error(tmp_path: Path) -> None:
    skipped = Skipped()
    assert list(stream(tmp_path, "po", 'msgid "a"\nmsgstr ""\n\nmsgid "b"\nmsgstr ""\n', None, skipped)) == []
    assert skipped.unused == {"untranslated": 2}


def test_po_may_have_korean_messages(tmp_path: Path) -> None:
    text = 'msgid "네"\nmsgstr "Yes"\n'
    assert read_text(tmp_path, "po", text, Fields(source="msgid", target="msgstr")) == [("네", "Yes")]
    with pytest.raises(DataError, match=r"there is no '원문' and no 'en', but 'msgid', 'msgstr'"):
        read_text(tmp_path, "po", text, Fields(source="원문"))


def test_po_without_a_valid_message_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none of its 1 records is a pair.*file\.po:2: not valid PO"):
        read_text(tmp_path, "po", 'msgid "a"\nnonsense\n')


def test_a_catalogue_is_not_mistaken_for_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").write_text('msgid "Yes"\nmsgstr "네"\n')
    with pytest.raises(DataError):
        read_text(tmp_path, "po", "other")


@settings(max_examples=50)
@given(st.lists(st.tuples(XML_LINE, XML_LINE), min_size=1, max_size=5))
def test_written_po_is_read_back(sides: list[tuple[str, str]]) -> None:
    sides = [(ko.replace("\u2028", " ").replace("\u2029", " "), f"{n} {en}") for n, (ko, en) in enumerate(sides)]
    sides = [(ko, en.replace("\u2028", " ").replace("\u2029", " ")) for ko, en in sides]
    catalogue = polib.POFile()
    catalogue.extend(polib.POEntry(msgid=en, msgstr=ko) for ko, en in sides)
    with TemporaryDirectory() as folder:
        assert read_text(Path(folder), "po", str(catalogue)) == sides


SEGMENTS = """<?xml version="1.0" encoding="UTF-8"?>
<mteval><srcset setid="x"><doc docid="1"><title>{title}</title>
<seg id="1"> {one} </seg>
<seg id="2">{two}</seg>
</doc></srcset></mteval>
"""


def segments(tmp_path: Path, korean: str, english: str) -> SplitFiles:
    (tmp_path / "ko.xml").write_text(korean, "utf-8")
    (tmp_path / "en.xml").write_text(english, "utf-8")
    return SplitFiles(source=tmp_path / "ko.xml", target=tmp_path / "en.xml")


def test_segments_of_two_files_are_pairs(tmp_path: Path) -> None:
    files = segments(
        tmp_path,
        SEGMENTS.format(title="제목", one="R&amp;D 예산", two=""),
        SEGMENTS.format(title="Title", one="The R&amp;D budget", two="Not translated."),
    )
    assert list(stream_pairs(files, "sgm", Fields())) == [("R&D 예산", "The R&D budget"), ("", "Not translated.")]


def test_files_with_other_segments_are_refused(tmp_path: Path) -> None:
    korean, english = (SEGMENTS.format(title="t", one="a", two="b") for _ in range(2))
    other = segments(tmp_path, korean, english.replace('id="2"', 'id="3"'))
    with pytest.raises(DataError, match=r"ko\.xml: segment 2 is id 2, but id 3 in .*en\.xml; both files must have"):
        list(stream_pairs(other, "sgm", Fields()))
    fewer = segments(tmp_path, korean, english.replace('<seg id="2">b</seg>', ""))
    with pytest.raises(DataError, match="segment 2 is id 2, but the end in"):
        list(stream_pairs(fewer, "sgm", Fields()))


def parquet(path: Path, columns: dict[str, object]) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet").write_table(pyarrow.table(columns), path)
    return path


def test_columns_of_a_parquet_file_are_pairs(tmp_path: Path) -> None:
    path = parquet(
        tmp_path / "x.parquet", {"ko": ["네", None, "두\n줄"], "en": ["Yes", "No", "Two lines"], "n": [1, 2, 3]}
    )
    assert list(stream_pairs(SplitFiles(path=path), "parquet", Fields())) == [
        ("네", "Yes"), ("", "No"), ("두 줄", "Two lines")
    ]  # fmt: skip


def test_fields_inside_a_column_of_a_parquet_file_are_pairs(tmp_path: Path) -> None:
    path = parquet(tmp_path / "x.parquet", {"translation": [{"ko": "네", "en": "Yes"}, {"ko": "예", "en": "Yes."}]})
    fields = Fields(source="translation.ko", target="translation.en")
    assert list(stream_pairs(SplitFiles(path=path), "parquet", fields)) == [("네", "Yes"), ("예", "Yes.")]
    with pytest.raises(DataError, match=r"fields: \{source: translation\.ko, target: translation\.en\}"):
        list(stream_pairs(SplitFiles(path=path), "parquet", Fields()))


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    path = parquet(tmp_path / "x.parquet", {"ko": ["네"] * 1000, "en": ["Yes"] * 1000})
    data = path.read_bytes()
    for damaged in (b"", b"not parquet", data[: len(data) // 2], data[:-8] + b"\xff" * 8):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"x\.parquet: not a Parquet file that can be read"):
            list(stream_pairs(SplitFiles(path=path), "parquet", Fields()))
