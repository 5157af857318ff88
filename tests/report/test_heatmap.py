"""Heat maps of attention: readable files, a glyph for every letter, and byte pieces joined."""

import json
import logging
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread

from kotrans.errors import KotransError, UsageError
from kotrans.report import style
from kotrans.report.heatmap import attention_record, draw, numbered

SOURCE = ["▁도서관", "에서", "▁공부", "했", "습니다", ".", "</s>"]
TARGET = ["▁I", "▁stud", "ied", "▁at", "▁the", "▁library", ".", "</s>"]


def some_weights(rows: int, columns: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    weights = np.random.default_rng(1).random((rows, columns)) ** 4
    return weights / weights.sum(1, keepdims=True)


def test_a_record_holds_pieces_and_weights_as_json() -> None:
    weights = some_weights(8, 7)
    record = attention_record("도서관에서 공부했습니다.", "I studied at the library.", SOURCE, TARGET, weights)
    assert json.loads(json.dumps(record)) == record
    assert (record["source_pieces"], record["target_pieces"]) == (SOURCE, TARGET)
    np.testing.assert_allclose(record["weights"], weights, atol=5e-7)


def test_weights_of_another_shape_than_the_pieces_raise_value_error() -> None:
    with pytest.raises(ValueError, match="8 target and 7 source pieces"):
        attention_record("", "", SOURCE, TARGET, some_weights(7, 8))


def test_a_png_is_drawn_at_a_readable_size_without_a_warning(tmp_path: Path) -> None:
    draw(tmp_path / "attention.png", SOURCE, TARGET, some_weights(8, 7), title="도서관에서 공부했습니다.\nI studied.")
    pixels = imread(tmp_path / "attention.png")
    height, width = pixels.shape[:2]
    assert 400 < height < 1500
    assert 400 < width < 1500
    assert len(np.unique(pixels[..., :3].reshape(-1, 3), axis=0)) > 50
    assert [path.name for path in tmp_path.iterdir()] == ["attention.png"]


def test_the_same_letters_give_the_same_bytes_and_other_letters_do_not(tmp_path: Path) -> None:
    weights = some_weights(1, 2)
    draw(tmp_path / "one.png", ["가", "나"], ["a"], weights)
    draw(tmp_path / "other.png", ["가", "다"], ["a"], weights)
    draw(tmp_path / "again.png", ["가", "나"], ["a"], weights)
    one, other, again = ((tmp_path / f"{name}.png").read_bytes() for name in ("one", "other", "again"))
    assert one == again
    assert one != other


def test_an_svg_has_outlines_instead_of_text(tmp_path: Path) -> None:
    draw(tmp_path / "attention.svg", SOURCE, TARGET, some_weights(8, 7))
    root = ElementTree.fromstring((tmp_path / "attention.svg").read_text(encoding="utf-8"))
    names = [element.tag.rpartition("}")[2] for element in root.iter()]
    assert "text" not in names
    outlines = {element.get("id", "") for element in root.iter() if "Nanum" in element.get("id", "")}
    assert len(outlines) > 20


def test_a_long_sentence_is_drawn_at_a_bounded_size(tmp_path: Path) -> None:
    count = 160
    draw(tmp_path / "long.svg", [f"▁말{i}" for i in range(count)], ["a", "b"], some_weights(2, count))
    root = ElementTree.fromstring((tmp_path / "long.svg").read_text(encoding="utf-8"))
    assert 38 * 72 < float(root.get("width", "").removesuffix("pt")) < 46 * 72


@pytest.mark.parametrize("text", ["$a$ and $b$", "100% \\frac", "▁", "<0xEA>", "{}", "</s>"])
def test_pieces_with_special_characters_are_drawn(tmp_path: Path, text: str) -> None:
    draw(tmp_path / "attention.png", [text, "가"], [text], [[0.5, 0.5]], title=text)
    assert (tmp_path / "attention.png").stat().st_size > 1000


def test_byte_pieces_are_drawn_as_the_character_that_they_spell(tmp_path: Path) -> None:
    draw(
        tmp_path / "bytes.png",
        ["<0xEB>", "<0xB7>", "<0x81>", "말"],
        ["<0x41>", "b"],
        [[0.1, 0.2, 0.3, 0.4], [0.0, 0.0, 0.0, 1.0]],
    )
    draw(tmp_path / "letters.png", ["뷁", "말"], ["A", "b"], [[0.6, 0.4], [0.0, 1.0]])
    assert (tmp_path / "bytes.png").read_bytes() == (tmp_path / "letters.png").read_bytes()


def test_a_target_character_in_bytes_has_the_mean_of_their_attention(tmp_path: Path) -> None:
    draw(tmp_path / "bytes.png", ["가", "나"], ["<0xC3>", "<0xA9>", "b"], [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    draw(tmp_path / "letters.png", ["가", "나"], ["é", "b"], [[0.75, 0.25], [0.0, 1.0]])
    assert (tmp_path / "bytes.png").read_bytes() == (tmp_path / "letters.png").read_bytes()


def test_bytes_that_spell_no_character_are_drawn_as_pieces(tmp_path: Path) -> None:
    pieces = ["<0xEB>", "<0x0A>", "<0x81>", "<0x00>", "<0xF0>"]
    draw(tmp_path / "bytes.png", pieces, ["a"], [[0.2] * 5])
    assert imread(tmp_path / "bytes.png").shape[1] > 5 * 50


def test_the_fonts_have_every_korean_syllable_and_the_word_marker(caplog: pytest.LogCaptureFixture) -> None:
    syllables = "".join(chr(code) for code in range(0xAC00, 0xD7A4))
    assert style.drawable([syllables, "▁ㄱㅎ…→é"]) == [syllables, "▁ㄱㅎ…→é"]
    assert not caplog.records


def test_a_character_without_a_glyph_is_replaced_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="kotrans"):
        draw(tmp_path / "attention.png", ["가", "\U0001f9a9"], ["a"], [[0.5, 0.5]])
    assert "no font has \U0001f9a9 (U+1F9A9); drawn as \ufffd" in caplog.text


def test_without_the_korean_font_the_error_names_the_package_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(style, "find_spec", lambda name: None)
    with pytest.raises(KotransError, match=r"install it: pip install koreanize-matplotlib$"):
        draw(tmp_path / "attention.png", SOURCE, TARGET, some_weights(8, 7))
    assert list(tmp_path.iterdir()) == []


def test_another_file_type_raises_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a picture is written as .png or .svg"):
        draw(tmp_path / "attention.jpg", ["가"], ["a"], [[1.0]])


def test_drawing_leaves_the_settings_of_matplotlib_unchanged(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    draw(tmp_path / "attention.PNG", ["가"], ["a"], [[1.0]])
    assert dict(matplotlib.rcParams) == before


def test_several_pictures_have_numbered_names() -> None:
    assert numbered(Path("a/b.png"), 1) == [Path("a/b.png")]
    assert numbered(Path("a/b.png"), 2) == [Path("a/b-1.png"), Path("a/b-2.png")]
