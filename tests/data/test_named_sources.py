"""Corpora named by where they are."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kotrans.config.sections import CorpusConfig, Fields
from kotrans.data import named_sources
from kotrans.data.corpora import Library
from kotrans.data.fetch import fetch
from kotrans.data.named_sources import entry_of_source, known_opus
from kotrans.errors import ConfigError, DataError
from kotrans.storage.files import read_lines

if TYPE_CHECKING:
    from tests.data.conftest import Site


def test_a_corpus_of_opus_is_named_by_name_and_version() -> None:
    entry = entry_of_source("opus:wikimedia/v20230407")
    assert entry is not None
    assert entry.files[0].url == "https://object.pouta.csc.fi/OPUS-wikimedia/v20230407/moses/en-ko.txt.zip"
    assert (entry.licence, entry.pairs) == ("CC-BY-SA", {"train": 99_485})
    assert entry.folder_name == "opus-wikimedia-v20230407"
    assert entry_of_source("wikimedia") is None


def test_an_undescribed_corpus_of_opus_has_an_unknown_licence() -> None:
    entry = entry_of_source("opus:Tanzil/v1")
    assert entry is not None
    assert entry.licence == "unknown"
    assert "README and LICENSE" in (entry.remark or "")


def test_every_known_corpus_of_opus_has_licence_and_pairs() -> None:
    assert len(known_opus()) >= 10
    assert all(entry.licence != "unknown" and entry.pairs for entry in known_opus().values())


@pytest.mark.e2e
def test_only_the_text_and_licence_of_an_opus_archive_are_unpacked(site: Site, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("Toy.en-ko.en", "One.\nTwo.\n")
        archive.writestr("Toy.en-ko.ko", "하나.\n둘.\n")
        archive.writestr("Toy.en-ko.xml", "<links/>")
        archive.writestr("LICENSE", "CC0")
    site.files["/opus-Toy-v1/en-ko.txt.zip"] = buffer.getvalue()
    entry = entry_of_source("opus:Toy/v1")
    assert entry is not None
    folder = fetch(entry, cache=tmp_path, mirror=site.url)
    assert {path.name for path in folder.iterdir()} == {"Toy.en-ko.en", "Toy.en-ko.ko", "LICENSE", "fetched.json"}
    assert read_lines(folder / "Toy.en-ko.ko") == ["하나.", "둘."]


def test_a_file_of_the_hub_is_named_by_revision_and_path(tmp_path: Path) -> None:
    name = "hf:owner/set@c3ffa5b/data/train.jsonl"
    entry = entry_of_source(name)
    assert entry is not None
    assert entry.files[0].url == "https://huggingface.co/datasets/owner/set/resolve/c3ffa5b/data/train.jsonl"
    (tmp_path / "train.jsonl").write_text('{"translation": {"ko": "네", "en": "Yes"}}\n', "utf-8")
    library = Library(tmp_path / "cache", mirror=str(tmp_path))
    (corpus,) = library.corpora([CorpusConfig(name=name)])
    with pytest.raises(DataError, match=r"there is no 'ko' and no 'en', but 'translation'"):
        corpus.read("train")
    wanted = CorpusConfig(name=name, fields=Fields(source="translation.ko", target="translation.en"))
    (corpus,) = library.corpora([wanted])
    assert corpus.read("train") == (["네"], ["Yes"])


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("opus:TED2020", "is not of the form opus:NAME/VERSION"),
        ("opus:../v1", "is not of the form opus:NAME/VERSION"),
        ("hf:owner/set/data.parquet", "is not of the form hf:OWNER/NAME@REVISION/PATH"),
        ("hf:owner/set@main/../x.csv", "is not of the form"),
        ("hf:owner/set@main/data.bin", r"data\.bin has no format that kotrans reads"),
    ],
)
def test_an_incomplete_name_is_refused_with_the_form(name: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        entry_of_source(name)


def test_the_descriptions_are_read_once() -> None:
    assert named_sources.known_opus() is named_sources.known_opus()
