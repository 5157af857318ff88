"""Shortlists of target pieces: made from a dataset, read back, and looked up."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from kotrans.config.sections import BatchConfig, TokenizerConfig
from kotrans.data import build_shortlist
from kotrans.data.build_dataset import prepare_dataset
from kotrans.data.build_shortlist import load_shortlist, prepare_shortlist
from kotrans.data.dataset import Dataset
from kotrans.data.prepare_corpus import PreparedCorpus
from kotrans.data.shortlist import FILE, Shortlist, read_shortlist, require_shortlist
from kotrans.data.tokenizer import BOS, EOS, PAD, UNK, Tokenizer
from kotrans.errors import ConfigError, DamagedError, DataError
from kotrans.storage.manifest import VerifiedFiles, write_manifest
from tests.small_corpus import sentences, small_tokenizer, write_corpus


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return small_tokenizer(tmp_path_factory.mktemp("tokenizer"), TokenizerConfig(vocabulary_size=400))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    folder = tmp_path_factory.mktemp("data")
    corpus = write_corpus(folder / "corpus", {"train": sentences(300, seed=2), "dev": sentences(40, seed=3)})
    prepare_dataset(PreparedCorpus.read(corpus), tokenizer, BatchConfig(), folder / "dataset")
    return folder / "dataset"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, dataset: Path, tokenizer: Tokenizer) -> Path:
    folder = tmp_path_factory.mktemp("made") / "shortlist"
    prepare_shortlist(dataset, tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def shortlist(made: Path) -> Shortlist:
    return load_shortlist(made)[0]


def small(translations: list[list[int]], dtype: type = np.uint16) -> Shortlist:
    always, frequent = np.array([PAD, BOS, EOS, UNK]), np.array([9, 4, 8])
    return Shortlist(always.astype(dtype), frequent.astype(dtype), np.array(translations, dtype))


def test_a_list_has_the_pieces_of_every_list_the_most_frequent_ones_and_the_translations_of_each_piece() -> None:
    lists = small([[5, 6], [7, PAD], [6, 10]])
    assert lists.pieces([0, 1], 1).tolist() == [0, 1, 2, 3, 5, 7, 9]
    assert lists.pieces([1, 1], 2).tolist() == [0, 1, 2, 3, 4, 7, 9]
    assert lists.pieces([0, 2], 2).tolist() == [0, 1, 2, 3, 4, 5, 6, 9, 10]
    assert lists.pieces(np.array([2], np.uint16), 1).dtype == np.int64


def test_a_larger_size_only_adds_pieces(shortlist: Shortlist, dataset: Path) -> None:
    dev = Dataset.open(dataset, "dev")
    for i in range(len(dev)):
        lists = [set(shortlist.pieces(dev.source(i), size).tolist()) for size in (1, 5, 20, 100)]
        assert lists[0] < lists[-1]
        assert all(smaller <= larger for smaller, larger in pairwise(lists))


def test_special_pieces_and_characters_are_in_every_list(tokenizer: Tokenizer, shortlist: Shortlist) -> None:
    spelt = {piece for piece in tokenizer.target.pieces(shortlist.always.tolist()) if not piece.startswith("<")}
    assert {"▁", "e", "t"} <= spelt
    assert all(len(piece.removeprefix("▁")) <= 1 for piece in spelt)
    assert {PAD, BOS, EOS, UNK} <= set(shortlist.pieces([EOS], 1).tolist())


def test_bytes_that_the_training_text_has_are_in_every_list(tokenizer: Tokenizer, tmp_path: Path) -> None:
    (source, target), dev = sentences(50, seed=2), sentences(4, seed=3)
    corpus = write_corpus(tmp_path / "corpus", {"train": (source, [*target[1:], "ж"]), "dev": dev})
    prepare_dataset(PreparedCorpus.read(corpus), tokenizer, BatchConfig(), tmp_path / "dataset")
    prepare_shortlist(tmp_path / "dataset", tokenizer, tmp_path / "shortlist")
    always = load_shortlist(tmp_path / "shortlist")[0].always.tolist()
    assert [piece for piece in tokenizer.target.pieces(always) if piece.startswith("<0x")] == ["<0xB6>", "<0xD0>"]


def test_the_most_frequent_pieces_of_the_training_text_are_in_every_list(shortlist: Shortlist, dataset: Path) -> None:
    train = Dataset.open(dataset, "train")
    counts = np.bincount(np.concatenate([train.target(i) for i in range(len(train))]))
    assert counts[shortlist.pieces([EOS], 10)].min() == 0  # special ones
    frequent = np.flatnonzero(counts > np.sort(counts)[-11])
    assert set(frequent.tolist()) <= set(shortlist.pieces([EOS], 10).tolist())


def test_the_manifest_measures_how_much_of_the_dev_targets_the_lists_have(made: Path, dataset: Path) -> None:
    shortlist, manifest = load_shortlist(made)
    dev = Dataset.open(dataset, "dev")
    lists = [set(shortlist.pieces(dev.source(i), 25).tolist()) for i in range(len(dev))]
    found = [[piece in pieces for piece in dev.target(i).tolist()] for i, pieces in enumerate(lists)]
    measured = manifest.dev[0]
    assert measured.size == 25
    assert measured.mean_pieces == pytest.approx(np.mean([len(pieces) for pieces in lists]))
    assert measured.recall == pytest.approx(np.mean(np.concatenate(found)))
    assert measured.complete == pytest.approx(np.mean([all(each) for each in found]))
    assert f"{measured.recall:.1%}" in manifest.summary


def test_the_same_dataset_gives_the_same_bytes(made: Path, dataset: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    prepare_shortlist(dataset, tokenizer, tmp_path / "again")
    for name in (FILE, "manifest.json"):
        assert (tmp_path / "again" / name).read_bytes() == (made / name).read_bytes()


def test_of_too_many_pairs_a_sample_is_used(
    dataset: Path, tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_shortlist, "_MAX_PAIRS", 50)
    assert prepare_shortlist(dataset, tokenizer, tmp_path / "pairs").pairs == 50
    monkeypatch.setattr(build_shortlist, "_MAX_PRODUCTS", 1000)
    assert 1 <= prepare_shortlist(dataset, tokenizer, tmp_path / "products").pairs < 20


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_a_shortlist_is_read_as_it_was_written(dtype: type, tmp_path: Path) -> None:
    written = small([[5, 6], [7, PAD]], dtype)
    written.save(tmp_path / FILE)
    write_manifest(tmp_path)
    read = read_shortlist(VerifiedFiles(tmp_path))
    assert read is not None
    for name in ("always", "frequent", "translations"):
        array, other = getattr(read, name), getattr(written, name)
        assert array.dtype == other.dtype
        assert array.tolist() == other.tolist()


def test_a_folder_without_one_has_none(tmp_path: Path) -> None:
    write_manifest(tmp_path)
    assert read_shortlist(VerifiedFiles(tmp_path)) is None


def other_arrays() -> bytes:
    from safetensors.numpy import save

    return save({"always": np.zeros(3, np.float32), "frequent": np.zeros(3), "translations": np.zeros((2, 2))})


@pytest.mark.parametrize("data", [b"", b"shortlist", other_arrays()], ids=["empty", "text", "other arrays"])
def test_a_file_that_is_no_shortlist_is_damage(data: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(data)
    write_manifest(tmp_path)
    with pytest.raises(DamagedError, match=FILE):
        read_shortlist(VerifiedFiles(tmp_path))


@pytest.mark.parametrize("name", [FILE, "manifest.json"])
@pytest.mark.parametrize("change", ["removed", "shortened"])
def test_a_damaged_prepared_shortlist_is_refused(made: Path, name: str, change: str, tmp_path: Path) -> None:
    for path in made.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    if change == "removed":
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes((made / name).read_bytes()[:-9])
    with pytest.raises(DataError, match=name):
        load_shortlist(tmp_path)


def test_a_set_size_needs_a_shortlist() -> None:
    lists = small([[5, 6]])
    assert require_shortlist(lists, 50, "model") is lists
    assert require_shortlist(lists, None, "model") is None
    assert require_shortlist(None, None, "model") is None
    with pytest.raises(ConfigError, match=r"runs/old: search.shortlist is 50, .* set search.shortlist to null"):
        require_shortlist(None, 50, "runs/old")
