"""Compressed text is read like plain text, and binary files are rejected by name."""

import bz2
import gzip
import io
import lzma
import os
import sys
import tarfile
import threading
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kotrans.errors import DataError
from kotrans.storage.compressed import decompressed
from kotrans.storage.files import read_lines, stream_lines, stream_text

pytestmark = pytest.mark.e2e

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEXT = "\ufeff안녕하세요.\r\n나무\u2028를 봅니다.\n\n끝".encode()
LINES = ["안녕하세요.", "나무\u2028를 봅니다.", "", "끝"]


def zip_of(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def two_parts(compress: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Returns a function that compresses two halves separately, as `cat a.gz b.gz` and parallel compressors do."""
    return lambda data: compress(data[: len(data) // 2]) + compress(data[len(data) // 2 :])


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd.compress,
    "zip": lambda data: zip_of(text=data),
    "gzip twice": two_parts(gzip.compress),
    "bzip2 twice": two_parts(bz2.compress),
    "xz twice": two_parts(lzma.compress),
    "zstd twice": two_parts(zstd.compress),
}


def check_read_or_refused(path: Path) -> None:
    """Checks that a file is read, or refused with a message of one line."""
    try:
        read_all(path)
    except DataError as error:
        message = str(error)
        assert message.startswith((f"{path}:", f"{path} ("))
        assert "\n" not in message


def read_all(path: Path) -> list[str]:
    """Returns the lines of a file, and checks that all functions that read text agree."""
    lines = read_lines(path)
    assert list(stream_lines(path)) == lines
    text = "".join(stream_text(path)).replace("\r\n", "\n")
    assert (text.removesuffix("\n").split("\n") if text else []) == lines
    return lines


@pytest.mark.parametrize("kind", PACKERS)
def test_compressed_text_is_read_regardless_of_the_file_name(kind: str, tmp_path: Path) -> None:
    for name in ("text.ko", "text.gz", "글.zip"):
        (tmp_path / name).write_bytes(PACKERS[kind](TEXT))
        assert read_all(tmp_path / name) == LINES
    (tmp_path / "empty").write_bytes(PACKERS[kind](b""))
    assert read_all(tmp_path / "empty") == []
    (tmp_path / "plain.gz").write_bytes(TEXT)
    assert read_all(tmp_path / "plain.gz") == LINES


def test_a_zip_may_contain_folders_and_macos_metadata(tmp_path: Path) -> None:
    (tmp_path / "z").write_bytes(zip_of(**{"folder/": b"", "folder/글.ko": TEXT, "__MACOSX/folder/._글.ko": b"x"}))
    assert read_all(tmp_path / "z") == LINES


@pytest.mark.parametrize("kind", PACKERS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_damaged_archive_is_read_or_refused(kind: str, data: st.DataObject, tmp_path: Path) -> None:
    packed = bytearray(PACKERS[kind](TEXT * 50))
    for _ in range(data.draw(st.integers(0, 3))):
        packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "packed"
    path.write_bytes(packed[: data.draw(st.integers(1, len(packed)))])
    check_read_or_refused(path)


@pytest.mark.parametrize("kind", PACKERS)
def test_a_truncated_archive_is_reported(kind: str, tmp_path: Path) -> None:
    packed = PACKERS[kind](os.urandom(9000).hex().encode())
    (tmp_path / "packed").write_bytes(packed[:-40])
    with pytest.raises(
        DataError, match=rf"packed: is a damaged or incomplete {kind.split()[0]} file \(.*\); download or create it"
    ):
        read_lines(tmp_path / "packed")


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    beginning=st.sampled_from(
        [b"", b"\x1f\x8b\x08", b"BZh91AY&SY", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"PAR1"]
    ),
    rest=st.binary(max_size=300),
)  # fmt: skip
def test_arbitrary_bytes_are_read_or_refused(beginning: bytes, rest: bytes, tmp_path: Path) -> None:
    path = tmp_path / "any"
    path.write_bytes(beginning + rest)
    check_read_or_refused(path)


def test_double_compression_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(lzma.compress(gzip.compress(TEXT)))
    with pytest.raises(DataError, match=r"a: is compressed twice \(gzip inside xz\); decompress it once"):
        read_lines(tmp_path / "a")
    (tmp_path / "b").write_bytes(zip_of(inner=zip_of(text=TEXT)))
    with pytest.raises(DataError, match=r"b: is compressed twice \(zip inside zip\)"):
        list(stream_lines(tmp_path / "b"))


def workbook() -> bytes:
    buffer = io.BytesIO()
    openpyxl.Workbook().save(buffer)
    return buffer.getvalue()


def tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    return buffer.getvalue()


BINARY = {
    "Parquet": (b"PAR1\x15\x00\x15\x00", "is Parquet, not text; write it as JSON Lines"),
    "Excel": (workbook(), "is an Excel workbook, not text; use `format: xlsx`"),
    "7z": (b"7z\xbc\xaf\x27\x1c\x00\x04", "is 7z, not text; unpack it with `7z x`"),
    "PDF": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "is PDF, not text; copy its text"),
    "tar": (tar(), "is a tar archive, not text; unpack it with `tar xf`"),
    "tar.gz": (gzip.compress(tar()), "is a tar archive, not text; unpack it with `tar xf`"),
    "two members": (zip_of(a=b"1", b=b"2"), r"is a zip archive of 2 files \(a, b\); unpack it and name the files"),
    "no member": (zip_of(), "is a zip archive of 0 files; unpack it"),
    "HWPX": (
        zip_of(mimetype=b"application/hwp+zip", x=b""),
        "is an OpenDocument, HWPX or EPUB file, not text",
    ),
    "HWP": (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99),
        "is an old Office or HWP file, not text; save it",
    ),
    "LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "is a Git LFS pointer, .*git lfs pull"),
}


@pytest.mark.parametrize("name", BINARY)
def test_the_type_of_a_binary_file_is_reported(name: str, tmp_path: Path) -> None:
    data, message = BINARY[name]
    (tmp_path / "text.ko").write_bytes(data)
    for read in (read_lines, lambda path: list(stream_lines(path)), lambda path: list(stream_text(path))):
        with pytest.raises(DataError, match=rf"text.ko( \(gzip, decompressed\))?: {message}"):
            read(tmp_path / "text.ko")


@pytest.mark.parametrize("text", ["PAR1 is a word.", "PK로 시작하는 글", "BZh91 is a start.", "HWP Document File 설명"])
def test_text_that_begins_like_a_binary_file_is_text(text: str, tmp_path: Path) -> None:
    (tmp_path / "text").write_text(text, encoding="utf-8")
    assert read_all(tmp_path / "text") == [text]


def test_an_encrypted_zip_is_reported(tmp_path: Path) -> None:
    data = bytearray(zip_of(a=b"x"))
    data[6] |= 1  # the flag of encryption, in the local header and in the directory
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "z").write_bytes(data)
    with pytest.raises(DataError, match=r"z: is a zip archive that cannot be read \(.*encrypted.*\)"):
        read_lines(tmp_path / "z")


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zstd", "zip"])
def test_compressed_text_is_read_in_bounded_memory(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(PACKERS[kind](("나무를 봅니다. " * 5 + "\n").encode() * 200_000))
    tracemalloc.start()
    assert sum(1 for _ in stream_lines(path)) == 200_000  # 21 MB
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12_000_000


def test_a_line_without_end_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    (tmp_path / "bomb").write_bytes(gzip.compress(b"x" * 999 + b"\n" + b"x" * 5000))
    with (tmp_path / "bomb").open("rb") as file, decompressed(file, "bomb", longest_line=1000) as lines:
        assert next(lines) == b"x" * 999 + b"\n"
        with pytest.raises(DataError, match=r"^bomb: has a line of more than 1,000 bytes; check that it is text$"):
            next(lines)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_may_carry_compressed_text_but_no_zip(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for kind, expected in (("gzip", LINES), ("zip", None)):
        writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(PACKERS[kind](TEXT),))
        writer.start()
        if expected is None:
            with pytest.raises(DataError, match="pipe: is a zip archive, which cannot be read from a pipe"):
                list(stream_lines(tmp_path / "pipe"))
        else:
            assert list(stream_lines(tmp_path / "pipe")) == expected
        writer.join()


def test_a_zstd_file_names_the_package_that_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lines.zst").write_bytes(zstd.compress(TEXT))
    monkeypatch.setitem(sys.modules, "compression" if sys.version_info >= (3, 14) else "backports", None)
    with pytest.raises(DataError, match=r"lines\.zst: is compressed with zstd; run pip install backports\.zstd"):
        read_lines(tmp_path / "lines.zst")
