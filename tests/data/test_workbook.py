"""Excel workbooks as written by Excel, openpyxl and AI-Hub."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import openpyxl
import pytest

from kotrans.config.sections import Fields, SplitFiles
from kotrans.data.formats.pairs import Skipped
from kotrans.data.formats.reading import stream_pairs
from kotrans.errors import DataError

AI_HUB = Fields(source="원문", target="번역문")
PAIRS = [("안녕하세요.", "Hello."), ('그는 "네"라고 했다.', 'He said, "Yes".'), ("쉼표, 그리고 탭", "Comma, and so on")]
Value = int | float | bool | str | datetime | None


def read(path: Path, fields: Fields | None = None, skipped: Skipped | None = None) -> list[tuple[str, str]]:
    return list(stream_pairs(SplitFiles(path=path), "xlsx", fields or Fields(), skipped))


def write_xlsx(path: Path, *sheets: Sequence[Sequence[Value]]) -> Path:
    workbook = openpyxl.Workbook()
    for number, rows in enumerate(sheets):
        sheet = workbook.worksheets[0] if number == 0 else workbook.create_sheet()
        for row in rows:
            sheet.append(list(row))
    workbook.save(path)
    return path


def test_ai_hub_excel(tmp_path: Path) -> None:
    """AI-Hub's Korean-English workbooks have an id, the Korean 원문 and its translation 번역문, one pair per row."""
    rows: list[tuple[int | str, str, str]] = [("SID", "원문", "번역문")]
    rows += [(number, ko, en) for number, (ko, en) in enumerate(PAIRS)]
    assert read(write_xlsx(tmp_path / "1_구어체(1).xlsx", rows), AI_HUB) == PAIRS


def test_excel_searches_all_sheets_and_pads_short_rows(tmp_path: Path) -> None:
    rows = [
        (" ko ", "en", "note"),
        ("네", "yes", None),
        (None, None, None),
        ("빈칸", None, None),
        (1990, "1990년", None),
    ]
    path = write_xlsx(tmp_path / "a.xlsx", [("About this file",)], rows)
    assert read(path) == [("네", "yes"), ("빈칸", ""), ("1990", "1990년")]


def test_the_error_for_missing_excel_columns_lists_the_columns(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", [("SID", "원문", "Review")])
    with pytest.raises(DataError, match=r"a\.xlsx:1: there is no '번역문', but 'SID', '원문', 'Review'"):
        read(path, AI_HUB)
    (tmp_path / "b.xlsx").write_text("ko,en\n")
    with pytest.raises(DataError, match="not a readable Excel workbook"):
        read(tmp_path / "b.xlsx")


def test_excel_escapes_are_decoded(tmp_path: Path) -> None:
    rows = [("ko", "en"), ("첫 줄_x000D_\n둘째 줄", "one_x000D_\ntwo"), ("_x005F_x000D_", "a_xyz_b _xD83D__xDE00_")]
    path = write_xlsx(tmp_path / "a.xlsx", rows)
    assert read(path) == [("첫 줄 둘째 줄", "one two"), ("_x000D_", "a_xyz_b \U0001f600")]


ODD_CELLS: dict[str, tuple[Value, str]] = {
    "date": (datetime(2024, 3, 1), "is a date or time"),
    "error": ("#NAME?", "is the error #NAME?"),
    "formula": ("=A1", "is a formula without a stored value"),
    "truth": (True, "is TRUE, not text"),
}


@pytest.mark.parametrize(("value", "problem"), ODD_CELLS.values(), ids=ODD_CELLS)
def test_a_row_with_a_cell_that_is_not_text_is_skipped(tmp_path: Path, value: Value, problem: str) -> None:
    skipped = Skipped()
    rows: list[list[Value]] = [["ko", "en"], ["네", "yes"], ["가", value], ["아니요", "no"]]
    assert read(write_xlsx(tmp_path / "a.xlsx", rows), skipped=skipped) == [("네", "yes"), ("아니요", "no")]
    assert skipped.malformed == {"not_text": 1}
    assert f"a.xlsx, Sheet row 3: {problem}" in skipped.examples["not_text"][0]


def test_numbers_and_percentages_are_read_as_displayed(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", [("ko", "en"), ("셋", 3.0), ("반", 0.5), ("조금", 1.25)])
    workbook = openpyxl.load_workbook(path)
    workbook.worksheets[0]["B3"].number_format = "0%"
    workbook.save(path)
    assert read(path) == [("셋", "3"), ("반", "50%"), ("조금", "1.25")]


def test_the_lower_of_merged_cells_is_empty(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", [("ko", "en"), ("네", "yes"), ("무시됨", "yeah")])
    workbook = openpyxl.load_workbook(path)
    workbook.worksheets[0].merge_cells("A2:A3")
    workbook.save(path)
    skipped = Skipped()
    assert read(path, skipped=skipped) == [("네", "yes"), ("", "yeah")]
    assert not skipped.malformed


def test_every_sheet_with_both_columns_is_read_and_one_can_be_chosen(tmp_path: Path) -> None:
    header = ("ko", "en")
    path = write_xlsx(
        tmp_path / "a.xlsx", [header], [header, ("네", "yes")], [("note",)], [("en", "ko"), ("no", "아니요")]
    )
    assert read(path) == [("네", "yes"), ("아니요", "no")]
    assert read(path, Fields(sheet="Sheet3")) == [("아니요", "no")]
    with pytest.raises(DataError, match=r"there is no sheet 'B', but 'Sheet', 'Sheet1', 'Sheet2', 'Sheet3'; name one"):
        read(path, Fields(sheet="B"))
    assert read(path, Fields(source="2", target="1", sheet="Sheet3"))[1:] == [("아니요", "no")]


def test_an_empty_sheet_is_skipped_with_numbered_columns(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", [], [("yes", "네")], [("no", "아니요")])
    assert read(path, Fields(source="2", target="1")) == [("네", "yes")]


def test_a_workbook_of_headers_alone_has_no_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no text in it"):
        read(write_xlsx(tmp_path / "a.xlsx", [("ko", "en")], [("ko", "en")]))
