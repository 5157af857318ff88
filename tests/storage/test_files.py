"""Text files are split into lines in one way, and writes are all or nothing."""

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
    new_directory,
    new_file,
    read_bytes,
    read_lines,
    stream_lines,
    write_json,
    write_lines,
)
from kotrans.storage.resumable_output import ResumableOutput
from kotrans.storage.scratch import remove_abandoned

HERE = Path("text.txt")
LINES = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=8), max_size=6)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lines") / "lines.txt"


@given(lines=LINES)
def test_written_lines_are_read_back(scratch: Path, lines: list[str]) -> None:
    kept = [line.removesuffix("\r").removeprefix("\ufeff") for line in lines]  # reading removes these
    write_lines(scratch, kept)
    assert read_lines(scratch) == kept


@given(text=st.text(st.sampled_from("가a\n\r\ufeff\x00\u2028\x85\x0c🌳"), max_size=12), mark=st.booleans())
def test_streaming_yields_the_same_lines_as_reading(scratch: Path, text: str, mark: bool) -> None:
    scratch.write_bytes(b"\xef\xbb\xbf" * mark + text.encode())
    assert list(stream_lines(scratch)) == read_lines(scratch)


def test_lines_end_at_line_feeds_only_and_marks_of_windows_are_removed() -> None:
    text = decode("\ufeff가\r\n나\x00\u2028\x85\x0b다\r라\n".encode(), HERE)
    assert text.split("\n") == ["가", "나\x00\u2028\x85\x0b다\r라", ""]


def test_an_empty_file_has_no_lines_and_a_line_feed_is_one_empty_line(tmp_path: Path) -> None:
    for data, lines in ((b"", []), (b"\xef\xbb\xbf", []), (b"\n", [""]), (b"a", ["a"]), (b"a\n\n", ["a", ""])):
        (tmp_path / "f").write_bytes(data)
        assert read_lines(tmp_path / "f") == lines


@pytest.mark.parametrize(
    ("encoding", "hint"),
    [("cp949", "cp949 .EUC-KR.: convert it with `iconv -f cp949"), ("utf-16", "UTF-16: convert it with `iconv")],
)
def test_an_error_of_encoding_names_the_line_and_the_likely_encoding(encoding: str, hint: str, tmp_path: Path) -> None:
    data = "abc\n나무를 봅니다\n".encode(encoding)
    line = 1 if encoding == "utf-16" else 2
    with pytest.raises(DataError, match=f"text.txt:{line}: not UTF-8 text; it looks like {hint}"):
        decode(data, HERE)
    (tmp_path / "text.txt").write_bytes(data)
    with pytest.raises(DataError, match=f"text.txt:{line}: not UTF-8 text; it looks like {hint}"):
        list(stream_lines(tmp_path / "text.txt"))


def test_an_error_of_unknown_encoding_names_the_line_only() -> None:
    with pytest.raises(DataError, match=r"^text.txt:3: not UTF-8 text; convert it to UTF-8$"):
        decode("가\n나\n".encode() + b"\xff\xff", HERE)


def test_every_reader_reports_a_path_that_cannot_be_read(tmp_path: Path) -> None:
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
def test_a_failed_write_leaves_nothing(error: type[BaseException], tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("old")
    for name in ("new", "old.txt"):
        with pytest.raises(error):
            fail_in_file(tmp_path / name, error())
    with pytest.raises(error):
        fail_in_directory(tmp_path / "folder", error())
    assert [path.name for path in tmp_path.iterdir()] == ["old.txt"]
    assert (tmp_path / "old.txt").read_text() == "old"


def test_a_file_or_folder_appears_only_when_it_is_complete(tmp_path: Path) -> None:
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


def test_an_existing_folder_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "theirs").write_text("x")
    with pytest.raises(FileExistsError), new_directory(tmp_path / "folder") as scratch:
        (scratch / "ours").write_text("y")
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "theirs"]


def test_new_files_and_folders_have_the_permissions_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_lines(tmp_path / "file", ["a"])
        with new_directory(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o750


def test_a_link_stays_a_link_and_a_pipe_is_written_directly(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_lines(tmp_path / "link", ["new"])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new\n"
    os.mkfifo(tmp_path / "pipe")
    with new_file(tmp_path / "pipe") as scratch:
        assert scratch == (tmp_path / "pipe").resolve()
    assert (tmp_path / "pipe").is_fifo()


def test_a_long_name_leaves_room_for_the_temporary_name(tmp_path: Path) -> None:
    name = "나" * 80 + ".txt"
    write_lines(tmp_path / name, ["가"])
    assert read_lines(tmp_path / name) == ["가"]


def test_files_are_utf_8_with_line_feeds_on_all_systems(tmp_path: Path) -> None:
    write_lines(tmp_path / "lines", ["가", ""])
    assert (tmp_path / "lines").read_bytes() == "가\n\n".encode()
    write_json(tmp_path / "json", {"글": [1]})
    assert (tmp_path / "json").read_bytes() == '{\n  "글": [\n    1\n  ]\n}\n'.encode()


def test_a_content_key_does_not_depend_on_the_order_of_keys() -> None:
    assert content_key({"a": 1, "b": [2]}) == content_key({"b": [2], "a": 1})
    assert content_key({"a": 1}) != content_key({"a": 2})
    assert len(content_key([])) == 12


class Windows:
    """Simulates the system calls of Windows: no handles of folders, and no fsync of read-only handles."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.reading: set[int] = set()
        self._open, self._fsync, self._rename = os.open, os.fsync, os.rename
        patch.setattr(sys, "platform", "win32")
        patch.setattr(os, "open", self.open)
        patch.setattr(os, "fsync", self.fsync)
        patch.setattr(os, "rename", self.rename)

    def open(self, path: Path, flags: int, *more: Any, **place: Any) -> int:
        if place:  # from shutil.rmtree, which works differently on Windows
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


def test_writing_works_on_windows(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        Windows(patch)
        write_lines(tmp_path / "lines", ["가"])
        write_lines(tmp_path / "lines", ["나"])
        (tmp_path / "empty").mkdir()
        for name in ("folder", "empty"):
            with new_directory(tmp_path / name) as scratch:
                (scratch / "deep").mkdir()
                (scratch / "deep" / "file").write_text("x")
        ResumableOutput(tmp_path / "lines").write({}, [("원", "다")])
        with pytest.raises(FileExistsError), new_directory(tmp_path / "folder") as scratch:
            (scratch / "ours").touch()
        remove_abandoned(tmp_path)
    assert read_lines(tmp_path / "lines") == ["다"]
    names = ["empty", "empty/deep", "empty/deep/file", "folder", "folder/deep", "folder/deep/file", "lines"]
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == names
