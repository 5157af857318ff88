"""Unpacking of untrusted archives."""

import io
import shutil
import stat
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kotrans.data.unpack import unpack
from kotrans.errors import FetchError


def tar_with(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(b"x" * member.size) if member.isreg() else None)
    return path


def tar_member(name: str, size: int = 1, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = size if kind == tarfile.REGTYPE else 0, kind, link
    return member


EVIL_MEMBERS = [
    tar_member("../outside"),
    tar_member("/etc/outside"),
    tar_member("inner/../../outside"),
    tar_member("link", kind=tarfile.SYMTYPE, link="/etc/passwd"),
    tar_member("link", kind=tarfile.SYMTYPE, link="good"),
    tar_member("link", kind=tarfile.LNKTYPE, link="../outside"),
    tar_member("device", kind=tarfile.CHRTYPE),
    tar_member("pipe", kind=tarfile.FIFOTYPE),
]


@pytest.mark.parametrize("member", EVIL_MEMBERS, ids=lambda member: f"{member.name} {member.type.decode()}")
def test_a_tar_with_outside_paths_or_links_is_refused(member: tarfile.TarInfo, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "folder"
    folder.mkdir(parents=True)
    archive = tar_with(tmp_path / "evil.tar.gz", tar_member("good"), member)
    with pytest.raises(FetchError, match=r"evil\.tar\.gz: an unsafe archive"):
        unpack(archive, "tar", folder, 1000)
    assert {path.name for path in tmp_path.rglob("*")} == {"deep", "folder", "good", "evil.tar.gz"}


@pytest.mark.parametrize("name", ["../outside", "/outside", "inner/../../outside", "..\\outside", "C:\\outside"])
def test_a_zip_with_outside_paths_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr(name, "x")
    with pytest.raises(FetchError, match=r"evil\.zip: an unsafe archive"):
        unpack(tmp_path / "evil.zip", "zip", tmp_path / "folder", 1000)
    assert not list((tmp_path / "folder").iterdir())


def test_a_zip_with_a_link_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(FetchError, match="an unsafe archive"):
        unpack(tmp_path / "evil.zip", "zip", tmp_path / "folder", 1000)


def test_archives_that_unpack_to_too_much_are_refused(tmp_path: Path) -> None:
    tar_with(tmp_path / "bomb.tar.gz", tar_member("a", 600), tar_member("b", 600))
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", "x" * 2000)
    with pytest.raises(FetchError, match="more than 1000 files or 1,000 bytes"):
        unpack(tmp_path / "bomb.tar.gz", "tar", tmp_path / "tar", 1000)
    with pytest.raises(FetchError, match="more than 1000 files or 1,000 bytes"):
        unpack(tmp_path / "bomb.zip", "zip", tmp_path / "zip", 1000)
    tar_with(tmp_path / "many.tar.gz", *(tar_member(f"f{n}", 0) for n in range(1001)))
    with pytest.raises(FetchError, match="more than 1000 files"):
        unpack(tmp_path / "many.tar.gz", "tar", tmp_path / "many", 1000)


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_damaged_archive_is_an_error(kind: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "whole.zip", "w") as archive:
        archive.writestr("a", "x" * 5000)
    whole = {"tar": tar_with(tmp_path / "whole.tar.gz", tar_member("a", 5000)), "zip": tmp_path / "whole.zip"}[kind]
    (tmp_path / "half").write_bytes(whole.read_bytes()[:60])
    with pytest.raises(FetchError, match=f"half: a damaged {kind} archive"):
        unpack(tmp_path / "half", "tar" if kind == "tar" else "zip", tmp_path / "folder", 10_000)


def test_a_zip_needs_no_password(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "locked.zip", "w") as archive:
        archive.writestr("a", "x")
    data = bytearray((tmp_path / "locked.zip").read_bytes())
    data[6] |= 1  # the flag of encryption, in the local header and in the directory
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "locked.zip").write_bytes(data)
    with pytest.raises(FetchError, match=r"a damaged zip archive .*encrypted"):
        unpack(tmp_path / "locked.zip", "zip", tmp_path / "folder", 1000)


def members(mode: str) -> bytes:
    """A tar with a text file that does not compress well."""
    text = b"".join(f"line {number * 7919 % 1000}\n".encode() for number in range(2000))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        info = tarfile.TarInfo("text")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
    return buffer.getvalue()


def zipped(method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("text", "".join(f"line {number * 7919 % 1000}\n" for number in range(2000)))
    return buffer.getvalue()


WHOLE = {
    **{mode: members(f"w:{mode}") for mode in ("gz", "bz2", "xz")},
    **{f"zip {method}": zipped(method) for method in (0, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)},
}


@pytest.mark.parametrize("kind", WHOLE)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_anywhere_in_an_archive_is_detected(kind: str, data: st.DataObject, tmp_path: Path) -> None:
    archive = bytearray(WHOLE[kind])
    for _ in range(data.draw(st.integers(1, 3))):
        archive[data.draw(st.integers(0, len(archive) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "archive"
    path.write_bytes(archive[: data.draw(st.integers(1, len(archive)))])
    with suppress(FetchError), TemporaryDirectory() as folder:
        unpack(path, "zip" if kind.startswith("zip") else "tar", Path(folder) / "in", 10**6)


@pytest.mark.parametrize("mode", ["gz", "bz2", "xz"])
def test_a_wrong_checksum_inside_an_archive_is_damage(mode: str, tmp_path: Path) -> None:
    archive = bytearray(WHOLE[mode])
    archive[len(archive) // 2] ^= 0xFF
    (tmp_path / "archive").write_bytes(archive)
    with pytest.raises(FetchError, match="archive: a damaged tar archive"):
        unpack(tmp_path / "archive", "tar", tmp_path / "folder", 10**6)


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_only_the_wanted_members_are_extracted(kind: str, tmp_path: Path) -> None:
    names = ["top/a.po", "top/inner/b.po", "top/readme", "top/inner/c.pot", "../evil"]
    archive = tmp_path / f"commit.{kind}"
    if kind == "tar":
        tar_with(archive, *map(tar_member, names))
    else:
        with zipfile.ZipFile(archive, "w") as opened:
            for name in names:
                opened.writestr(name, "x")
    folder = tmp_path / "folder"
    unpack(archive, kind, folder, 1000, members=["*.po"], top_folder=False)  # type: ignore[arg-type]
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == {"a.po", "inner/b.po"}


def test_an_archive_without_a_wanted_member_is_refused(tmp_path: Path) -> None:
    archive = tar_with(tmp_path / "other.tar", tar_member("readme"))
    with pytest.raises(FetchError, match=r"other\.tar: has no member \*\.po or \*\.pot"):
        unpack(archive, "tar", tmp_path / "folder", 1000, members=["*.po", "*.pot"])


def test_the_limit_on_the_unpacked_size_counts_members_that_are_not_wanted(tmp_path: Path) -> None:
    archive = tar_with(tmp_path / "large.tar", tar_member("large", 2000), tar_member("a.po"))
    with pytest.raises(FetchError, match="unpacks to more than 1000 files or 1,000 bytes"):
        unpack(archive, "tar", tmp_path / "folder", 1000, members=["*.po"])


def test_a_file_that_does_not_fit_on_the_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tar_with(tmp_path / "large.tar", tar_member("large", 900))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=800))
    with pytest.raises(FetchError, match=r"large\.tar: large needs 900 bytes, but the disk has only 800"):
        unpack(archive, "tar", tmp_path / "folder", 1000)
