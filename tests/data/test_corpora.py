"""The registry and the corpora it lists."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from kotrans.config.sections import CleaningConfig, CorpusConfig
from kotrans.data.corpora import Library
from kotrans.data.fetch import cache_folder, entry_folder
from kotrans.data.registry import load_registry
from kotrans.errors import ConfigError, FetchError
from kotrans.storage import resources
from kotrans.storage.paths import is_pattern

TOY = """
toy:
  title: Toy
  description: Three splits of one column file.
  licence: none
  format: tsv
  files: [{url: 'https://example.org/toy.tsv', max_bytes: 100_000}]
  splits: {train: {path: toy.tsv}, long: {path: toy.tsv}}
  holdout: {test: 4}
"""


@pytest.fixture
def library(tmp_path: Path) -> Library:
    (tmp_path / "registry.yaml").write_text(TOY)
    rows = "".join(f"문장 {n}\tSentence {n}\n" for n in range(30))
    (tmp_path / "toy.tsv").write_text("ko\ten\n" + rows, encoding="utf-8")
    return Library(tmp_path / "cache", mirror=str(tmp_path), registry=load_registry(tmp_path / "registry.yaml"))


def test_the_registry_lists_the_documented_corpora() -> None:
    registry = load_registry()
    assert {
        "starter", "korean-english-news", "jhe", "ntrex", "tatoeba", "flores", "iwslt17", "ted2020", "globalvoices",
        "python-docs", "django-docs", "godot-editor",
    } == set(registry)  # fmt: skip
    assert registry["korean-english-news"].pairs == {"train": 94_123, "dev": 1_000, "test": 2_000}
    assert registry["tatoeba"].holdout == {"dev": 300, "test": 400}


def test_the_splits_of_every_entry_are_among_its_files() -> None:
    for entry in load_registry().values():
        for file in entry.downloads:
            assert file.git_blob or file.sha256 or file.tree or entry.name == "tatoeba"
        plain = {file.name for file in entry.downloads if not file.unpack}
        wanted = [pattern for file in entry.downloads for pattern in file.members]
        for path in (path for files in entry.splits.values() for _, path in files if path):
            if plain:
                assert path.name in plain
            elif wanted:
                assert path.as_posix() in wanted or is_pattern(path)


@pytest.mark.parametrize(
    "broken", [TOY.replace("title", "tilte"), TOY.replace("tsv\n", "tvs\n", 1), TOY.replace("https", "file")]
)
def test_an_invalid_registry_raises_a_validation_error(broken: str, tmp_path: Path) -> None:
    (tmp_path / "registry.yaml").write_text(broken)
    with pytest.raises(ValidationError):
        load_registry(tmp_path / "registry.yaml")


def test_other_hashes_use_another_cache_folder(tmp_path: Path) -> None:
    jhe = load_registry()["jhe"]
    changed = jhe.model_copy(update={"files": jhe.files[1:]})
    assert entry_folder(jhe, tmp_path) != entry_folder(changed, tmp_path)
    assert entry_folder(load_registry()["starter"], tmp_path) == resources.starter()


def test_the_environment_sets_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KOTRANS_CACHE", str(tmp_path / "here"))
    monkeypatch.setenv("KOTRANS_MIRROR", "https://example.org/mirror")
    library = Library()
    assert library.cache == cache_folder() == tmp_path / "here"
    assert library.mirror == "https://example.org/mirror"


def test_listings_show_presence_and_number_of_pairs(library: Library) -> None:
    (before,) = library.listings()
    assert (before.present, dict(before.pairs)) == (False, {})
    folder = library.fetch("toy")
    (after,) = library.listings()
    assert (after.present, dict(after.pairs), after.folder) == (True, {"train": 30, "long": 30}, folder)


def test_a_listed_split_is_read_by_name_even_if_held_out_of_train(library: Library) -> None:
    test = library.read_split("toy", "test")
    assert len(test.source) == 4
    assert not set(test.source) & set(library.read_split("toy", "train").source)
    assert len(library.read_split("toy", "long").source) == 30


def test_the_error_for_unknown_corpora_and_splits_lists_the_known_ones(library: Library) -> None:
    with pytest.raises(ConfigError, match=r"corpus 'toi': is not listed; did you mean toy\? \(your own files need"):
        library.read_split("toi", "test")
    with pytest.raises(ConfigError, match="corpus 'xyz': is not listed; known corpora: toy"):
        library.fetch("xyz")
    with pytest.raises(ConfigError, match="corpus 'toy': has no split 'dev', only long, test, train"):
        library.read_split("toy", "dev")


def test_a_config_may_hold_out_other_numbers(library: Library, tmp_path: Path) -> None:
    (corpus,) = library.corpora([CorpusConfig(name="toy", holdout={"dev": 7})])
    text = corpus.text(tmp_path / "scratch", CleaningConfig())
    assert {split: len(pairs.source) for split, pairs in text.held_out.items()} == {"long": 30, "dev": 7}
    assert len(list(text.train)) == 23


def test_a_file_missing_from_the_cache_is_an_error(library: Library) -> None:
    (library.fetch("toy") / "toy.tsv").unlink()
    with pytest.raises(FetchError, match=r"toy\.tsv: is missing from the fetched corpus; delete .* and fetch it again"):
        library.corpora([CorpusConfig(name="toy")])


def test_the_listings_of_opus_follow_if_wanted(library: Library) -> None:
    names = [listing.entry.name for listing in library.listings(opus=True)]
    assert names[0] == "toy"
    assert "opus:bible-uedin/v1" in names


def test_a_corpus_is_found_by_the_beginning_of_a_word_in_its_description() -> None:
    ted, news = load_registry()["ted2020"], load_registry()["korean-english-news"]
    assert ted.mentions("ted")
    assert ted.mentions("Talks")
    assert not news.mentions("rean")


def test_settings_of_a_config_replace_those_of_a_listed_corpus(library: Library) -> None:
    (corpus,) = library.corpora([CorpusConfig(name="toy", markup="html", split_sentences=True, holdout_by="file")])
    assert (corpus.markup, corpus.split_sentences, corpus.holdout_by) == ("html", True, "file")
    (corpus,) = library.corpora([CorpusConfig(name="toy")])
    assert (corpus.markup, corpus.split_sentences, corpus.holdout_by) == ("none", False, "sentence")
