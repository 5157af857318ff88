"""Access keys in the labels of a catalogue."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kotrans.config.sections import Fields, Format, SplitFiles
from kotrans.data.formats.po import mark_styles, without_key_marks
from kotrans.data.formats.reading import stream_pairs

MARKED = {
    ("파일(_F)", "_File"): ("파일", "File"),
    ("저장(&S)", "&Save"): ("저장", "Save"),
    ("저장(S)", "&Save"): ("저장", "Save"),
    ("열기(_O)...", "_Open..."): ("열기...", "Open..."),
    ("다른 이름으로 저장 (&A)…", "Save &As…"): ("다른 이름으로 저장…", "Save As…"),
    ("끝내기(_X)", "E_xit"): ("끝내기", "Exit"),
    ("끝내기（&X）", "E&xit"): ("끝내기", "Exit"),
    ("이름(_N):", "Name:"): ("이름:", "Name:"),
    ("저장(&V)", "&Save"): ("저장", "Save"),
    ("가 && 나(&B)", "A && &B"): ("가 & 나", "A & B"),
    ("열기(_O) a__b __init__", "_Open a__b __init__"): ("열기 a_b __init__", "Open a_b __init__"),
    ("%d개 저장(&S)", "&Save %d of %(x)s &amp; {name}"): ("%d개 저장", "Save %d of %(x)s &amp; {name}"),
}
UNMARKED = [
    ("snake_case 이름", "the name snake_case"),
    ("연구(R&D)", "R&D"),
    ("f(_x) 호출", "Call f(_x)"),
    ("비타민(C)", "Vitamin C"),
    ("__init__은 좋다", "__init__ is good"),
    ("a && b", "a && b"),
    ("_private은 감춘다", "_private is hidden"),
    ("&nbsp;과 &lt;", "&nbsp; and &lt;"),
    ("%(x)s의 {_name}", "%(x)s of {_name}"),
    ("https://a.kr/?x=1&y=2", "https://a.kr/?x=1&y=2"),
    ("AT&T의 황(S)", "Sulfur (S) of AT&T"),
]


@pytest.mark.parametrize(("marked", "plain"), MARKED.items())
def test_access_keys_are_removed_from_both_sides(marked: tuple[str, str], plain: tuple[str, str]) -> None:
    assert without_key_marks(*marked) == plain


@pytest.mark.parametrize("pair", UNMARKED)
def test_text_that_is_not_an_access_key_is_kept(pair: tuple[str, str]) -> None:
    assert without_key_marks(*pair) == pair


def test_one_side_may_lack_the_access_key_in_a_catalogue_with_access_keys() -> None:
    styles = mark_styles(["파일(_F)", None, "보기(_V)"])
    assert styles == {"_"}
    assert without_key_marks("파일", "_File", styles) == ("파일", "File")
    assert without_key_marks("스네이크", "snake_case", styles) == ("스네이크", "snake_case")
    assert without_key_marks("복사 && 붙이기", "Copy && Paste", {"&"}) == ("복사 & 붙이기", "Copy & Paste")
    assert without_key_marks("파일", "_File") == ("파일", "_File")


@pytest.mark.parametrize("reverse", [False, True])
def test_only_catalogues_lose_access_keys(tmp_path: Path, reverse: bool) -> None:
    pairs = [("파일(_F)", "_File"), ("편집", "_Edit"), ("그는 갔다.", "He left.")]
    texts: dict[Format, str] = {
        "tsv": "ko\ten\n" + "".join(f"{ko}\t{en}\n" for ko, en in pairs),
        "po": "".join(f'msgid "{ko if reverse else en}"\nmsgstr "{en if reverse else ko}"\n\n' for ko, en in pairs),
    }
    read = {}
    for format, text in texts.items():
        (tmp_path / "file").write_text(text, encoding="utf-8")
        fields = Fields(source="msgid", target="msgstr") if reverse and format == "po" else Fields()
        read[format] = list(stream_pairs(SplitFiles(path=tmp_path / "file"), format, fields))
    assert read == {"tsv": pairs, "po": [("파일", "File"), ("편집", "Edit"), ("그는 갔다.", "He left.")]}


@given(st.text(), st.text(), st.sets(st.sampled_from("_&")))
def test_only_access_keys_are_removed(korean: str, english: str, styles: set[str]) -> None:
    fewer = without_key_marks(korean, english, styles)
    for before, after in zip((korean, english), fewer, strict=True):
        rest = iter(before)
        assert all(character in rest for character in after), "what is left is in its order"
    if not any(mark in english + korean for mark in "_&"):
        assert fewer == (korean, english)
