"""The hash cache returns only hashes of unchanged files."""

import os
from pathlib import Path

import pytest

from kotrans.storage import hash_cache
from kotrans.storage.files import sha256
from kotrans.storage.hash_cache import HashCache


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were hashed, in order. Files are cached even if they have just changed."""
    names: list[str] = []

    def record(path: Path) -> str:
        names.append(path.name)
        return sha256(path)

    monkeypatch.setattr(hash_cache, "sha256", record)
    monkeypatch.setattr(hash_cache, "_SETTLED", -1)
    return names


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_file_is_hashed_once_for_all_caches_with_the_same_memory(tmp_path: Path, hashed: list[str]) -> None:
    file, memory = write(tmp_path / "text", "a"), tmp_path / "memory.json"
    first = HashCache(memory)
    assert first.of(file) == first.of(file) == HashCache(memory).of(file) == sha256(file)
    assert hashed == ["text"]
    assert HashCache().of(file) == sha256(file)
    assert hashed == ["text", "text"]


def test_a_changed_file_is_hashed_again(tmp_path: Path, hashed: list[str]) -> None:
    file, memory = write(tmp_path / "text", "one"), tmp_path / "memory.json"
    HashCache(memory).of(file)
    before = file.stat()
    write(file, "two")  # with the same size and modification time
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert HashCache(memory).of(file) == sha256(file)
    os.replace(write(tmp_path / "other", "six"), file)
    assert HashCache(memory).of(file) == sha256(file)
    assert hashed == ["text"] * 3


def test_a_file_that_has_just_changed_is_not_cached(
    tmp_path: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hash_cache, "_SETTLED", 3600 * 10**9)
    file, memory = write(tmp_path / "text", "a"), tmp_path / "memory.json"
    for _ in range(2):
        assert HashCache(memory).of(file) == sha256(file)
    assert hashed == ["text", "text"]
    assert not memory.exists()


@pytest.mark.parametrize("damage", ["", "[]", '{"PATH": 3}', '{"PATH": [3, 1, 1, 1, 1]}', '{"PATH": []}', "\x00", "{"])
def test_a_damaged_memory_is_ignored(damage: str, tmp_path: Path, hashed: list[str]) -> None:
    file, memory = write(tmp_path / "text", "a"), tmp_path / "memory.json"
    write(memory, damage.replace("PATH", str(file)))
    assert HashCache(memory).of(file) == HashCache(memory).of(file) == sha256(file)
    assert hashed == ["text"]


def test_only_the_most_recent_hashes_are_kept(
    tmp_path: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hash_cache, "_MOST", 3)
    memory = tmp_path / "memory.json"
    for name in "abcde":
        HashCache(memory).of(write(tmp_path / name, name))
    assert memory.stat().st_size < 1000
    for name in "ecdab":
        HashCache(memory).of(tmp_path / name)
    assert "".join(hashed) == "abcde" + "ab"


def test_a_memory_that_cannot_be_written_is_no_error(tmp_path: Path, hashed: list[str]) -> None:
    file, memory = write(tmp_path / "text", "a"), tmp_path / "memory.json"
    memory.mkdir()
    assert HashCache(memory).of(file) == sha256(file)
