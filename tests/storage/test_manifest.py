"""Folders and zip archives with a manifest: changed files are refused, and a zip bomb uses no memory."""

import json
import random
import zipfile
from pathlib import Path

import pytest

from kotrans.errors import CheckpointError
from kotrans.storage.manifest import VerifiedFiles, write_manifest

FILES = {"weights": random.Random(1).randbytes(10_000), "deep/text": "글".encode()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a manifest."""
    for name, data in FILES.items():
        (tmp_path / "files" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "files" / name).write_bytes(data)
    write_manifest(tmp_path / "files")
    return tmp_path / "files"


def zip_of(folder: Path, change: dict[str, bytes] | None = None, compression: int = zipfile.ZIP_STORED) -> Path:
    """Returns the folder as a zip archive, with some members changed."""
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", compression) as archive:
        for file in sorted(folder.rglob("*")):
            name = file.relative_to(folder).as_posix()
            if file.is_file():
                archive.writestr(name, (change or {}).get(name, file.read_bytes()))
    return path


@pytest.mark.parametrize("packed", [None, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_files_are_read_from_a_folder_and_from_a_zip(folder: Path, packed: int | None) -> None:
    files = VerifiedFiles(folder if packed is None else zip_of(folder, compression=packed))
    files.verify()
    assert {name: files.read(name) for name in files.files} == FILES


@pytest.mark.parametrize("name", FILES)
def test_a_changed_member_is_refused(folder: Path, name: str) -> None:
    files = VerifiedFiles(zip_of(folder, {name: FILES[name][:-1] + b"?"}))
    with pytest.raises(CheckpointError, match=f"files.zip: this checkpoint is damaged \\({name} is missing or not"):
        files.read(name)
    with pytest.raises(CheckpointError, match=name):
        files.verify()


def test_a_file_that_the_manifest_does_not_list_is_refused(folder: Path) -> None:
    (folder / "more").write_bytes(b"more")
    with pytest.raises(CheckpointError, match="damaged \\(more is missing or not what was written"):
        VerifiedFiles(folder).read("more")


def test_a_zip_bomb_is_refused_before_it_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = zip_of(folder, {"weights": bytes(20_000_000)}, zipfile.ZIP_DEFLATED)

    def refuse(*_: object) -> None:
        raise AssertionError("a member was read")

    monkeypatch.setattr(zipfile.ZipFile, "open", refuse)
    with pytest.raises(CheckpointError, match=r"files\.zip: unpacks to more than 10 times its size"):
        VerifiedFiles(bomb)


def test_a_member_larger_than_its_size_in_the_directory_is_refused(folder: Path) -> None:
    bomb = zip_of(folder, {"weights": bytes(20_000_000)}, zipfile.ZIP_DEFLATED)
    size, wrong_size = (20_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little")
    bomb.write_bytes(bomb.read_bytes().replace(size, wrong_size))
    with pytest.raises(CheckpointError, match="damaged \\(weights"):
        VerifiedFiles(bomb).read("weights")


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"no zip at all"])
def test_a_file_that_is_not_a_zip_is_reported(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "model.zip").write_bytes(data)
    with pytest.raises(CheckpointError, match=r"model\.zip: is not a zip archive, or a damaged one"):
        VerifiedFiles(tmp_path / "model.zip")


def test_a_zip_without_a_manifest_is_not_a_checkpoint(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("photo.txt", "x")
    with pytest.raises(CheckpointError, match="there is no checkpoint here"):
        VerifiedFiles(tmp_path / "other.zip")


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "deep/../../outside"])
def test_a_manifest_with_paths_outside_the_folder_is_refused(folder: Path, name: str) -> None:
    (folder / "manifest.json").write_text(json.dumps({"format": 1, "files": {name: "0" * 64}}))
    with pytest.raises(CheckpointError, match="lists files outside of it"):
        VerifiedFiles(folder)


def test_a_manifest_of_more_than_a_million_bytes_is_refused(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text("utf-8") + " " * 1_000_000)
    with pytest.raises(CheckpointError, match=r"damaged \(manifest\.json"):
        VerifiedFiles(folder)
