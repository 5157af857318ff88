"""Files: lines without surprises, and writes that are whole or not at all."""

import errno
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kotrans.errors import DataError
from kotrans.storage.files import (
    content_key,
    decode,
    growing_file,
    new_directory,
    new_file,
    read_bytes,
    read_lines,
    stream_lines,
    write_json,
    write_lines,
)
from kotrans.storage.scratch import remove_abandoned

HERE = Path("text.txt")
LINES = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=8), max_size=6)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lines") / "lines.txt"


@given(lines=LINES)
def test_lines_come_back_as_they_were_written(scratch: Path, lines: list[str]) -> None:
    kept = [line.removesuffix("\r").removeprefix("\ufeff") for line in lines]  # what a file cannot tell from its form
    write_lines(scratch, kept)
    assert read_lines(scratch) == kept


@given(text=st.text(st.sampled_from("가a\n\r\ufeff\x00\u2028\x85\x0c🌳"), max_size=12), mark=st.booleans())
def test_a_stream_has_the_lines_of_the_file(scratch: Path, text: str, mark: bool) -> None:
    scratch.write_bytes(b"\xef\xbb\xbf" * mark + text.encode())
    assert list(stream_lines(scratch)) == read_lines(scratch)


def test_only_a_line_feed_ends_a_line_and_windows_marks_go() -> None:
    text = decode("\ufeff가\r\n나\x00\u2028\x85\x0b다\r라\n".encode(), HERE)
    assert text.split("\n") == ["가", "나\x00\u2028\x85\x0b다\r라", ""]


def test_an_empty_file_has_no_lines_and_an_empty_line_is_one(tmp_path: Path) -> None:
    for data, lines in ((b"", []), (b"\xef\xbb\xbf", []), (b"\n", [""]), (b"a", ["a"]), (b"a\n\n", ["a", ""])):
        (tmp_path / "f").write_bytes(data)
        assert read_lines(tmp_path / "f") == lines


@pytest.mark.parametrize(
    ("encoding", "hint"),
    [("cp949", "cp949 .EUC-KR.: convert it with `iconv -f cp949"), ("utf-16", "UTF-16: convert it with `iconv")],
)
def test_the_likely_encoding_is_named_with_the_line(encoding: str, hint: str, tmp_path: Path) -> None:
    data = "abc\n나무를 봅니다\n".encode(encoding)
    line = 1 if encoding == "utf-16" else 2
    with pytest.raises(DataError, match=f"text.txt:{line}: not UTF-8 text; it looks like {hint}"):
        decode(data, HERE)
    (tmp_path / "text.txt").write_bytes(data)
    with pytest.raises(DataError, match=f"text.txt:{line}: not UTF-8 text; it looks like {hint}"):
        list(stream_lines(tmp_path / "text.txt"))


def test_bytes_of_no_encoding_are_named_with_the_line_only() -> None:
    with pytest.raises(DataError, match=r"^text.txt:3: not UTF-8 text; convert it to UTF-8$"):
        decode("가\n나\n".encode() + b"\xff\xff", HERE)


def test_a_path_that_cannot_be_read_is_said_so_by_every_reader(tmp_path: Path) -> None:
    for path, problem in ((tmp_path / "no", "no: there is no such file"), (tmp_path, "cannot be read .Is a directory")):
        with pytest.raises(DataError, match=problem):
            read_bytes(path)
        with pytest.raises(DataError, match=problem):
            list(stream_lines(path))


def fail_in_directory(final: Path, error: BaseException) -> None:
    with new_directory(final) as scratch:
        (scratch / "half").write_text("half")
        raise error


def fail_in_file(final: Path, error: BaseException) -> None:
    with new_file(final) as scratch:
        scratch.write_text("half")
        raise error


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, GeneratorExit])
def test_what_fails_half_way_leaves_nothing(error: type[BaseException], tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("old")
    for name in ("new", "old.txt"):
        with pytest.raises(error):
            fail_in_file(tmp_path / name, error())
    with pytest.raises(error):
        fail_in_directory(tmp_path / "folder", error())
    assert [path.name for path in tmp_path.iterdir()] == ["old.txt"]
    assert (tmp_path / "old.txt").read_text() == "old"


def test_nothing_is_seen_of_a_file_or_folder_before_it_is_whole(tmp_path: Path) -> None:
    with new_directory(tmp_path / "deep" / "folder") as scratch:
        (scratch / "in").mkdir()
        (scratch / "in" / "text").write_text("x")
        assert not (tmp_path / "deep" / "folder").exists()
        assert scratch.parent == tmp_path / "deep"
        assert scratch.name.startswith(".")
    assert (tmp_path / "deep" / "folder" / "in" / "text").read_text() == "x"
    with new_file(tmp_path / "deep" / "file") as scratch:
        assert not (tmp_path / "deep" / "file").exists()
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["file", "folder"]


def test_a_folder_never_takes_the_place_of_another(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "theirs").write_text("x")
    with pytest.raises(FileExistsError), new_directory(tmp_path / "folder") as scratch:
        (scratch / "ours").write_text("y")
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "theirs"]


def test_what_is_made_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_lines(tmp_path / "file", ["a"])
        with new_directory(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o750


def test_a_link_stays_a_link_and_a_pipe_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_lines(tmp_path / "link", ["new"])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new\n"
    os.mkfifo(tmp_path / "pipe")
    with new_file(tmp_path / "pipe") as scratch:
        assert scratch == (tmp_path / "pipe").resolve()
    assert (tmp_path / "pipe").is_fifo()


def test_long_names_have_room_for_their_scratch_name(tmp_path: Path) -> None:
    name = "나" * 80 + ".txt"
    write_lines(tmp_path / name, ["가"])
    assert read_lines(tmp_path / name) == ["가"]


def test_files_are_utf_8_with_line_feeds_on_every_system(tmp_path: Path) -> None:
    write_lines(tmp_path / "lines", ["가", ""])
    assert (tmp_path / "lines").read_bytes() == "가\n\n".encode()
    write_json(tmp_path / "json", {"글": [1]})
    assert (tmp_path / "json").read_bytes() == '{\n  "글": [\n    1\n  ]\n}\n'.encode()


def test_a_key_follows_the_value_and_not_the_order_of_its_names() -> None:
    assert content_key({"a": 1, "b": [2]}) == content_key({"b": [2], "a": 1})
    assert content_key({"a": 1}) != content_key({"a": 2})
    assert len(content_key([])) == 12


class Windows:
    """The calls of the writing path as Windows answers them: no handle of a folder, no fsync of one that only reads."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.reading: set[int] = set()
        self._open, self._fsync, self._rename = os.open, os.fsync, os.rename
        patch.setattr(sys, "platform", "win32")
        patch.setattr(os, "open", self.open)
        patch.setattr(os, "fsync", self.fsync)
        patch.setattr(os, "rename", self.rename)

    def open(self, path: Path, flags: int, *more: Any, **place: Any) -> int:
        if place:  # of shutil.rmtree, which goes about it in another way there
            return self._open(path, flags, *more, **place)
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        handle = self._open(path, flags, *more)
        if flags & (os.O_RDWR | os.O_WRONLY) == 0:
            self.reading.add(handle)
        return handle

    def fsync(self, handle: int) -> None:
        if handle in self.reading:
            raise OSError(errno.EBADF, "Bad file descriptor")
        self._fsync(handle)

    def rename(self, source: Path, target: Path) -> None:
        if os.path.exists(target):
            raise FileExistsError(errno.EEXIST, "File exists", str(target))
        self._rename(source, target)


def test_everything_is_written_on_windows_too(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        Windows(patch)
        write_lines(tmp_path / "lines", ["가"])
        write_lines(tmp_path / "lines", ["나"])
        (tmp_path / "empty").mkdir()
        for name in ("folder", "empty"):
            with new_directory(tmp_path / name) as scratch:
                (scratch / "deep").mkdir()
                (scratch / "deep" / "file").write_text("x")
        with growing_file(tmp_path / "grown") as partial:
            partial.write_text("y")
        with pytest.raises(FileExistsError), new_directory(tmp_path / "folder") as scratch:
            (scratch / "ours").touch()
        remove_abandoned(tmp_path)
    assert read_lines(tmp_path / "lines") == ["나"]
    names = ["empty", "empty/deep", "empty/deep/file", "folder", "folder/deep", "folder/deep/file", "grown", "lines"]
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == names
