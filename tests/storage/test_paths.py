"""Paths given by users: `~`, Unicode forms of names, patterns, and similar names."""

import unicodedata
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from kotrans.storage.paths import is_pattern, matching_files, similar_paths, user_path


def nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("가\n", encoding="utf-8")
    return path


def test_a_tilde_is_expanded_to_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/a.tsv") == tmp_path / "a.tsv"
    assert user_path("~nobody-of-this-name/a.tsv") == Path("~nobody-of-this-name/a.tsv")
    touch(tmp_path / "내 글.tsv")
    assert matching_files("~/*.tsv") == [tmp_path / "내 글.tsv"]


@pytest.mark.parametrize(("on_disk", "given"), list(product((nfc, nfd), repeat=2)))
def test_every_part_of_a_path_is_found_in_either_unicode_form(
    on_disk: Callable[[str], str], given: Callable[[str], str], tmp_path: Path
) -> None:
    existing = touch(tmp_path / on_disk("실험") / nfd("학습") / on_disk("말뭉치.ko"))
    for path in (
        tmp_path / given("실험/학습/말뭉치.ko"),
        tmp_path / given("실험") / "." / nfc("학습") / given("말뭉치.ko"),
    ):
        assert user_path(path) == existing
    new = tmp_path / given("실험") / given("새것.en")
    assert user_path(new) == existing.parents[1] / given("새것.en")  # a new name keeps the given form
    assert user_path(existing) == existing


def test_if_both_forms_exist_the_exact_name_is_used(tmp_path: Path) -> None:
    both = [touch(tmp_path / form("말뭉치.ko")) for form in (nfc, nfd)]
    assert both[0] != both[1]
    assert [user_path(path) for path in both] == both


def test_relative_paths_stay_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    touch(Path(nfd("자료/글.ko")))
    assert user_path(nfc("자료/글.ko")) == Path(nfd("자료/글.ko"))
    assert matching_files(nfc("자료/*.ko")) == [Path(nfd("자료/글.ko"))]
    assert user_path("없음/a") == Path("없음/a")


def test_a_pattern_matches_files_of_any_depth_and_form_sorted_by_name(tmp_path: Path) -> None:
    wanted = [
        touch(tmp_path / name)
        for name in (nfd("가/1_구어체.xlsx"), nfd("가") + nfc("/깊이/2_대화체.xlsx"), "나/a.xlsx", "b.xlsx")
    ]
    for other in ("나/a.csv", ".hidden/c.xlsx", ".d.xlsx", "나/folder.xlsx/x.txt"):
        touch(tmp_path / other)
    (tmp_path / "circle").symlink_to(tmp_path)
    assert matching_files(tmp_path / "**" / "*.xlsx") == sorted(wanted, key=lambda path: nfc(path.as_posix()))
    assert matching_files(tmp_path / nfc("가/*구어체*")) == wanted[:1]
    assert matching_files(tmp_path / "*" / "[ab].xlsx") == [tmp_path / "circle" / "b.xlsx", tmp_path / "나" / "a.xlsx"]
    assert matching_files(tmp_path / "?.xlsx") == [tmp_path / "b.xlsx"]
    assert matching_files(tmp_path / "*.pdf") == []
    assert matching_files(tmp_path / "none" / "*") == []
    assert matching_files(tmp_path / "b.xlsx" / "*") == []


def test_a_question_mark_matches_one_syllable_in_either_form(tmp_path: Path) -> None:
    files = [touch(tmp_path / nfd("값.ko")), touch(tmp_path / nfc("간.ko"))]
    assert matching_files(tmp_path / "?.ko") == sorted(files, key=lambda path: nfc(path.name))


def test_the_name_of_a_file_with_brackets_is_not_a_pattern(tmp_path: Path) -> None:
    odd = tmp_path / "data[1].tsv"
    assert is_pattern(odd)
    touch(odd)
    assert not is_pattern(odd)
    assert is_pattern(tmp_path / "*.tsv")
    assert not is_pattern("plain.tsv")


def test_similar_names_are_from_the_deepest_existing_folder(tmp_path: Path) -> None:
    touch(tmp_path / "train.ko")
    touch(tmp_path / "data" / "x")
    assert similar_paths(tmp_path / "tain.ko") == [str(tmp_path / "train.ko")]
    assert similar_paths(tmp_path / "dta" / "deep" / "x") == [str(tmp_path / "data")]
    assert similar_paths(tmp_path / "nothing like it") == []
