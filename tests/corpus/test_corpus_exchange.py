"""Translation memories and message catalogues."""

from pathlib import Path
from tempfile import TemporaryDirectory
from xml.sax.saxutils import escape

import polib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kotrans.config.sections import Fields, Format, SplitFiles
from kotrans.corpus.formats import exchange
from kotrans.corpus.formats.reading import read_pairs
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

# XML cannot hold most control characters, and reads "\\r" as "\\n".
XML_LINE = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1)


def read_text(folder: Path, format: Format, text: str | bytes, fields: Fields | None = None) -> list[tuple[str, str]]:
    path = folder / f"file.{format}"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(zip(*read_pairs(SplitFiles(path=path), format, fields or Fields()), strict=True))


def test_tmx_keeps_the_text_of_inline_tags_and_matches_regions(tmp_path: Path) -> None:
    assert read_text(tmp_path, "tmx", TMX) == [("지금 시작을 누르세요.", "Press <b>Start now."), ("네.", "Yes.")]


def test_tmx_in_utf_16_is_read(tmp_path: Path) -> None:
    assert len(read_text(tmp_path, "tmx", TMX.replace("UTF-8", "UTF-16").encode("utf-16"))) == 2


def test_tmx_without_the_language_shows_those_it_has(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"file\.tmx: there is no 'de', but 'en', 'en-us', 'ko', 'ko-kr'"):
        read_text(tmp_path, "tmx", TMX, Fields(source="de"))


TMX_MISTAKES = {
    "<tmx>\n<body></tmx>": r"file\.tmx:2: not valid XML",
    '<!DOCTYPE t [<!ENTITY a "aaaa">]><tmx><tu>&a;</tu></tmx>': r"XML that is not safe",
    '<?xml version="1.0" encoding="nonsense"?><tmx/>': r"file\.tmx",
}


@pytest.mark.parametrize(("text", "message"), TMX_MISTAKES.items(), ids=["cut", "entity", "encoding"])
def test_bad_tmx_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_text(tmp_path, "tmx", text)


@settings(max_examples=50)
@given(st.lists(st.tuples(XML_LINE, XML_LINE), min_size=1, max_size=5))
def test_what_is_written_as_tmx_is_read(sides: list[tuple[str, str]]) -> None:
    units = (
        f'<tu><tuv xml:lang="ko"><seg>{escape(ko)}</seg></tuv><tuv xml:lang="en"><seg>{escape(en)}</seg></tuv></tu>'
        for ko, en in sides
    )
    with TemporaryDirectory() as folder:
        assert read_text(Path(folder), "tmx", f"<tmx><body>{''.join(units)}</body></tmx>") == sides


def test_po_gives_finished_messages_alone(tmp_path: Path) -> None:
    assert read_text(tmp_path, "po", PO) == [("파일을 여세요", "Open the file"), ("두  줄", "two lines")]


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
def test_po_reads_the_same_in_parts_of_any_length(lines: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_PO_LINES", lines)
    expected = [("파일을 여세요", "Open the file"), ("두  줄", "two lines")]
    expected += [("안에 빈 줄", "A blank line inside"), ("사이에 줄이 없음", "No line between")]
    assert read_text(tmp_path, "po", PO + PO_BETWEEN) == expected
    line = (PO + PO_BETWEEN).count("\n") + 1
    with pytest.raises(DataError, match=rf"file\.po: not a gettext PO file that can be read \(line {line}\)"):
        read_text(tmp_path, "po", PO + PO_BETWEEN + "nonsense\n")


def test_po_may_have_korean_messages(tmp_path: Path) -> None:
    text = 'msgid "네"\nmsgstr "Yes"\n'
    assert read_text(tmp_path, "po", text, Fields(source="msgid", target="msgstr")) == [("네", "Yes")]
    with pytest.raises(DataError, match=r"there is no '원문' and no 'en', but 'msgid', 'msgstr'"):
        read_text(tmp_path, "po", text, Fields(source="원문"))


def test_bad_po_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"file\.po: not a gettext PO file that can be read \(line 2"):
        read_text(tmp_path, "po", 'msgid "a"\nnonsense\n')


def test_a_catalogue_is_not_mistaken_for_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").write_text('msgid "Yes"\nmsgstr "네"\n')
    with pytest.raises(DataError):
        read_text(tmp_path, "po", "other")


@settings(max_examples=50)
@given(st.lists(st.tuples(XML_LINE, XML_LINE), min_size=1, max_size=5))
def test_what_is_written_as_po_is_read(sides: list[tuple[str, str]]) -> None:
    sides = [(ko.replace("\u2028", " ").replace("\u2029", " "), f"{n} {en}") for n, (ko, en) in enumerate(sides)]
    sides = [(ko, en.replace("\u2028", " ").replace("\u2029", " ")) for ko, en in sides]
    catalogue = polib.POFile()
    catalogue.extend(polib.POEntry(msgid=en, msgstr=ko) for ko, en in sides)
    with TemporaryDirectory() as folder:
        assert read_text(Path(folder), "po", str(catalogue)) == sides
