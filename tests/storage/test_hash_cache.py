"""Hashes that are remembered, and when they are not trusted."""

import os
from pathlib import Path

import pytest

from kotrans.storage import hash_cache as digests_module
from kotrans.storage.files import sha256
from kotrans.storage.hash_cache import HashCache


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were really read, in order; files count as settled at once."""
    names: list[str] = []

    def record(path: Path) -> str:
        names.append(path.name)
        return sha256(path)

    monkeypatch.setattr(digests_module, "sha256", record)
    monkeypatch.setattr(digests_module, "_SETTLED", -1)
    return names


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_file_is_read_once_and_then_remembered_by_every_process(tmp_path: Path, hashed: list[str]) -> None:
    file, memory = write(tmp_path / "text", "a"), tmp_path / "memory.json"
    first = HashCache(memory)
    assert first.of(file) == first.of(file) == HashCache(memory).of(file) == sha256(file)
    assert hashed == ["text"]
    assert HashCache().of(file) == sha256(file)
    assert hashed == ["text", "text"]


def test_a_file_that_was_changed_in_any_way_is_read_again(tmp_path: Path, hashed: list[str]) -> None:
    file, memory = write(tmp_path / "text", "one"), tmp_path / "memory.json"
    HashCache(memory).of(file)
    before = file.stat()
    write(file, "two")  # as long as before, and with the time it had before
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert HashCache(memory).of(file) == sha256(file)
    os.replace(write(tmp_path / "other", "six"), file)
    assert HashCache(memory).of(file) == sha256(file)
    assert hashed == ["text"] * 3


def test_a_file_that_was_changed_a_moment_ago_is_not_remembered(
    tmp_path: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests_module, "_SETTLED", 3600 * 10**9)
    file, memory = write(tmp_path / "text", "a"), tmp_path / "memory.json"
    for _ in range(2):
        assert HashCache(memory).of(file) == sha256(file)
    assert hashed == ["text", "text"]
    assert not memory.exists()


@pytest.mark.parametrize("damage", ["", "[]", '{"PATH": 3}', '{"PATH": [3, 1, 1, 1, 1]}', '{"PATH": []}', "\x00", "{"])
def test_a_damaged_memory_is_as_good_as_none(damage: str, tmp_path: Path, hashed: list[str]) -> None:
    file, memory = write(tmp_path / "text", "a"), tmp_path / "memory.json"
    write(memory, damage.replace("PATH", str(file)))
    assert HashCache(memory).of(file) == HashCache(memory).of(file) == sha256(file)
    assert hashed == ["text"]


def test_the_last_ones_are_remembered_and_no_more(
    tmp_path: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests_module, "_MOST", 3)
    memory = tmp_path / "memory.json"
    for name in "abcde":
        HashCache(memory).of(write(tmp_path / name, name))
    assert memory.stat().st_size < 1000
    for name in "ecdab":
        HashCache(memory).of(tmp_path / name)
    assert "".join(hashed) == "abcde" + "ab"


def test_a_memory_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path, hashed: list[str]) -> None:
    file, memory = write(tmp_path / "text", "a"), tmp_path / "memory.json"
    memory.mkdir()
    assert HashCache(memory).of(file) == sha256(file)
