"""Encoding a prepared corpus into a dataset, and opening it."""

import errno
from pathlib import Path

import numpy as np
import pytest

from kotrans.config.sections import BatchConfig, TokenizerConfig
from kotrans.data.build_dataset import prepare_dataset
from kotrans.data.dataset import Dataset, DatasetManifest, dataset_key
from kotrans.data.prepare_corpus import PreparedCorpus
from kotrans.data.tokenizer import EOS, Tokenizer
from kotrans.errors import DataError
from kotrans.storage.files import write_json, write_lines
from tests.small_corpus import sentences, small_tokenizer, write_corpus
from tests.tiny_training import files_of_at_most

CONFIG = BatchConfig(max_pieces=12)
TRAIN = sentences(300, seed=2)
DEV = sentences(40, seed=3)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return small_tokenizer(tmp_path_factory.mktemp("tokenizer"), TokenizerConfig(vocabulary_size=400))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "corpus", {"train": TRAIN, "dev": DEV, "test": sentences(5, seed=4)})


@pytest.fixture
def prepared(corpus: Path, tokenizer: Tokenizer, tmp_path: Path) -> Path:
    prepare_dataset(PreparedCorpus.read(corpus), tokenizer, CONFIG, tmp_path / "dataset")
    return tmp_path / "dataset"


def test_train_has_the_pairs_within_max_pieces_in_order_with_their_corpus(prepared: Path, tokenizer: Tokenizer) -> None:
    encoded = zip(tokenizer.source.encode(TRAIN[0]), tokenizer.target.encode(TRAIN[1]), strict=True)
    expected = [(s, t, i % 2) for i, (s, t) in enumerate(encoded) if max(len(s), len(t)) <= CONFIG.max_pieces]
    train = Dataset.open(prepared, "train")
    assert 0 < len(train) == len(expected) < len(TRAIN[0])
    for i, (source, target, origin) in enumerate(expected):
        assert train.source(i).tolist() == [*source, EOS]
        assert train.target(i).tolist() == [*target, EOS]
        assert train.origins[i] == origin
    assert train.source_lengths.tolist() == [len(source) + 1 for source, _, _ in expected]
    assert train.target_lengths.tolist() == [len(target) + 1 for _, target, _ in expected]


def test_the_manifest_counts_kept_and_dropped_pairs(prepared: Path, tokenizer: Tokenizer) -> None:
    manifest = DatasetManifest.read(prepared)
    train, counts = Dataset.open(prepared, "train"), manifest.splits["train"]
    assert (counts.pairs, counts.dropped) == (len(train), {"empty": 0, "max_pieces": len(TRAIN[0]) - len(train)})
    assert counts.source_pieces == train.source_lengths.sum()
    assert counts.target_pieces == train.target_lengths.sum()
    assert counts.longest_source == train.source_lengths.max() <= CONFIG.max_pieces + 1
    assert counts.longest_target == train.target_lengths.max() <= CONFIG.max_pieces + 1
    assert (manifest.source_vocabulary, manifest.target_vocabulary) == (400, 400)
    assert set(manifest.splits) == {"train", "dev"}


def test_dev_keeps_its_long_pairs_and_loses_only_those_with_a_blank_side(tokenizer: Tokenizer, tmp_path: Path) -> None:
    dev = [*DEV[0], " ", "가"], [*DEV[1], "word", "\u200b"]
    corpus = write_corpus(tmp_path / "corpus", {"train": TRAIN, "dev": dev})
    manifest = prepare_dataset(PreparedCorpus.read(corpus), tokenizer, CONFIG, tmp_path / "dataset")
    assert manifest.splits["dev"].pairs == len(Dataset.open(tmp_path / "dataset", "dev")) == len(DEV[0])
    assert manifest.splits["dev"].dropped == {"empty": 2, "max_pieces": 0}
    assert manifest.splits["dev"].longest_source > CONFIG.max_pieces + 1


def test_neither_the_size_of_a_part_nor_the_number_of_processes_changes_a_dataset(
    corpus: Path, prepared: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    calls: list[tuple[int, int]] = []
    prepare_dataset(
        PreparedCorpus.read(corpus), tokenizer, CONFIG, tmp_path / "parts",
        lambda done, total: calls.append((done, total)), processes=2, pairs_in_a_part=40,
    )  # fmt: skip
    names = {path.name for path in prepared.iterdir()}
    assert names == {"manifest.json", *(f"{split}.{array}" for split in ("train", "dev") for array in ARRAYS)}
    assert names == {path.name for path in (tmp_path / "parts").iterdir()}
    for name in names:
        assert (tmp_path / "parts" / name).read_bytes() == (prepared / name).read_bytes(), name
    assert calls == sorted(calls)
    assert calls[-1] == (340, 340)


def test_ids_take_two_bytes_until_a_vocabulary_needs_more(
    corpus: Path, prepared: Path, tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Dataset.open(prepared, "train").source(0).dtype == np.uint16
    monkeypatch.setattr(tokenizer.target, "size", 2**16 + 1)
    prepare_dataset(PreparedCorpus.read(corpus), tokenizer, CONFIG, tmp_path / "wide")
    wide, narrow = Dataset.open(tmp_path / "wide", "dev"), Dataset.open(prepared, "dev")
    assert wide.target(3).dtype == np.int32
    assert wide.target(3).tolist() == narrow.target(3).tolist()


def test_the_key_follows_corpus_tokenizer_and_length_limit_but_not_the_budget(
    corpus: Path, prepared: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    key = DatasetManifest.read(prepared).key
    assert key == dataset_key("0123456789ab", tokenizer.fingerprint, CONFIG)
    assert key == dataset_key("0123456789ab", tokenizer.fingerprint, BatchConfig(max_pieces=12, tokens=99))
    others = {
        dataset_key("another", tokenizer.fingerprint, CONFIG),
        dataset_key("0123456789ab", "another", CONFIG),
        dataset_key("0123456789ab", tokenizer.fingerprint, BatchConfig(max_pieces=13)),
    }
    assert len(others | {key}) == 4


def test_a_corpus_without_dev_or_with_nothing_but_blank_dev_pairs_can_be_prepared(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    corpus = write_corpus(tmp_path / "a", {"train": TRAIN})
    prepare_dataset(PreparedCorpus.read(corpus), tokenizer, CONFIG, tmp_path / "none")
    with pytest.raises(DataError, match="no split 'dev', only train"):
        Dataset.open(tmp_path / "none", "dev")
    blank = write_corpus(tmp_path / "b", {"train": TRAIN, "dev": ([""], ["word"])})
    prepare_dataset(PreparedCorpus.read(blank), tokenizer, CONFIG, tmp_path / "blank")
    assert len(Dataset.open(tmp_path / "blank", "dev")) == 0


@pytest.mark.parametrize("train", [([], []), ([" ".join(["가나다라"] * 20)], ["word"])])
def test_a_corpus_without_usable_training_pairs_is_refused(
    train: tuple[list[str], list[str]], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    corpus = write_corpus(tmp_path / "corpus", {"train": train, "dev": DEV})
    with pytest.raises(DataError, match=r"corpus: no training pair with .* batches\.max_pieces \(12\)"):
        prepare_dataset(PreparedCorpus.read(corpus), tokenizer, CONFIG, tmp_path / "dataset")
    assert not (tmp_path / "dataset").exists()


@pytest.mark.parametrize("name", ["train.ko", "dev.en"])
def test_a_corpus_with_missing_lines_is_refused(name: str, corpus: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    write_lines(corpus / name, ["한 줄"])
    with pytest.raises(DataError, match=f"{name}: damaged"):
        prepare_dataset(PreparedCorpus.read(corpus), tokenizer, CONFIG, tmp_path / "dataset")
    assert not (tmp_path / "dataset").exists()


@pytest.mark.parametrize("name", ["train.ko", "train.en", "dev.ko", "dev.en"])
def test_a_corpus_with_extra_lines_is_refused(name: str, corpus: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    with (corpus / name).open("a", encoding="utf-8") as file:
        file.write("한 줄\n")
    with pytest.raises(DataError, match=f"{name}: damaged"):
        prepare_dataset(PreparedCorpus.read(corpus), tokenizer, CONFIG, tmp_path / "dataset")
    assert not (tmp_path / "dataset").exists()


def texts(dataset: Dataset) -> list[tuple[bytes, bytes, int]]:
    return [(dataset.source(i).tobytes(), dataset.target(i).tobytes(), dataset.origins[i]) for i in range(len(dataset))]


ARRAYS = [f"{side}.{what}.npy" for side in ("source", "target") for what in ("ids", "offsets")] + ["origin.npy"]


@pytest.mark.parametrize("name", ["manifest.json", *(f"train.{array}" for array in ARRAYS)])
@pytest.mark.parametrize("left", [0, 5, -2])
def test_a_damaged_or_missing_file_is_named(name: str, left: int, prepared: Path) -> None:
    whole = (prepared / name).read_bytes()
    (prepared / name).write_bytes(whole[:left])
    with pytest.raises(DataError, match=rf"{name}: damaged; delete .*dataset and run `kotrans prepare` again"):
        Dataset.open(prepared, "train")
    (prepared / name).unlink()
    with pytest.raises(DataError, match=f"{name}: there is no such file"):
        Dataset.open(prepared, "train")


def test_an_array_of_another_shape_or_type_is_damaged(prepared: Path) -> None:
    for wrong in (np.zeros(3, np.uint16), np.zeros(len(Dataset.open(prepared, "train")), np.int64)):
        np.save(prepared / "train.origin.npy", wrong)
        with pytest.raises(DataError, match=r"train\.origin\.npy: damaged"):
            Dataset.open(prepared, "train")


def test_an_array_of_python_objects_is_never_unpickled(prepared: Path) -> None:
    np.save(prepared / "train.origin.npy", np.array([print], dtype=object))
    with pytest.raises(DataError, match=r"train\.origin\.npy: damaged"):
        Dataset.open(prepared, "train")


@pytest.mark.parametrize("name", [f"{split}.{array}" for split in ("train", "dev") for array in ARRAYS])
def test_a_flipped_bit_is_found_in_every_array(name: str, prepared: Path) -> None:
    path = prepared / name
    whole = path.read_bytes()
    for place in (len(whole) - 1, len(whole) // 2, 70):
        flipped = bytearray(whole)
        flipped[place] ^= 4
        path.write_bytes(flipped)
        with pytest.raises(DataError, match=rf"{name}: damaged; delete .*dataset and run `kotrans prepare` again"):
            Dataset.open(prepared, name.partition(".")[0])
    path.write_bytes(whole)
    Dataset.open(prepared, "train")
    Dataset.open(prepared, "dev")


def test_a_dataset_of_an_older_version_without_hashes_and_with_blocks_is_opened(prepared: Path) -> None:
    manifest = DatasetManifest.read(prepared).model_dump()
    before = texts(Dataset.open(prepared, "train"))
    manifest["splits"]["train"]["blocks"] = [100, 50]
    write_json(prepared / "manifest.json", {name: value for name, value in manifest.items() if name != "files"})
    assert texts(Dataset.open(prepared, "train")) == before


def test_a_full_disk_while_writing_a_dataset_raises_an_error_with_errno(
    corpus: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    prepare_dataset(PreparedCorpus.read(corpus), tokenizer, CONFIG, tmp_path / "whole")
    sizes = [path.stat().st_size for path in (tmp_path / "whole").glob("train.*.npy")]
    with files_of_at_most(min(sizes)), pytest.raises(OSError, match="File too large") as error:
        prepare_dataset(PreparedCorpus.read(corpus), tokenizer, CONFIG, tmp_path / "dataset")
    assert error.value.errno == errno.EFBIG
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "whole"]
