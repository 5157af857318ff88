"""Preparing the corpora of a config."""

import gzip
import json
import lzma
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kotrans.config.loading import check_config
from kotrans.config.schema import Config
from kotrans.config.sections import Fields, SplitFiles
from kotrans.data import cleaning
from kotrans.data.corpora import Library
from kotrans.data.formats.reading import read_pairs
from kotrans.data.prepare_corpus import CorpusManifest, PreparedCorpus, prepare_corpus, resolve_corpora
from kotrans.errors import ConfigError, DataError
from kotrans.report.text_table import files_table
from kotrans.storage.files import read_lines

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

OPEN = Path(__file__).parents[3] / "shared" / "corpora" / "open-ko-en"


def write_split(folder: Path, split: str, count: int, word: str = "문장") -> dict[str, str]:
    folder.mkdir(parents=True, exist_ok=True)
    korean = [f"{word} {split} {n}번은 좋은 말입니다." for n in range(count)]
    english = [f"{word and split} number {n} is a fine {len(word)} thing." for n in range(count)]
    (folder / f"{split}.ko").write_text("".join(f"{line}\n" for line in korean), encoding="utf-8")
    (folder / f"{split}.en").write_text("".join(f"{line}\n" for line in english), encoding="utf-8")
    return {"source": str(folder / f"{split}.ko"), "target": str(folder / f"{split}.en")}


def own(folder: Path, name: str = "own", **settings: Any) -> dict[str, Any]:
    sizes = settings.pop("sizes", {"train": 20, "dev": 3, "test": 4})
    word = settings.pop("word", "문장")
    splits = {split: write_split(folder / name, split, count, word) for split, count in sizes.items()}
    return {"name": name, "format": "lines", "splits": splits, **settings}


def config_of(*corpora: dict[str, Any], **settings: Any) -> Config:
    return check_config({"name": "test", "corpora": list(corpora), **settings}, "test.yaml")


def prepared(config: Config, folder: Path, library: Library | None = None) -> CorpusManifest:
    return prepare_corpus(resolve_corpora(config, library), folder)


def key_of(config: Config) -> str:
    return resolve_corpora(config).key


def test_a_prepared_corpus_has_its_splits_and_a_manifest(tmp_path: Path) -> None:
    config = config_of(own(tmp_path))
    manifest = prepared(config, tmp_path / "out")
    assert manifest.splits == {"train": 20, "dev": 3, "test": 4}
    assert manifest == CorpusManifest.read(tmp_path / "out")
    assert manifest.key == key_of(config)
    assert len(manifest.inputs) == 6
    assert tuple(manifest.dropped) == cleaning.REASONS
    assert len(read_lines(tmp_path / "out" / "train.ko")) == len(read_lines(tmp_path / "out" / "train.en")) == 20
    assert PreparedCorpus.read(tmp_path / "out").split("test").origin == ["own"] * 4
    with pytest.raises(DataError, match=r"out: there is no split 'long', only dev, test"):
        PreparedCorpus.read(tmp_path / "out").split("long")


def test_corpora_are_joined_by_split_with_their_origin(tmp_path: Path) -> None:
    first = own(tmp_path, "first", weight=2)
    second = own(tmp_path, "second", word="다른문장", sizes={"train": 5, "long": 2})
    manifest = prepared(config_of(first, second), tmp_path / "out")
    assert manifest.splits == {"train": 25, "dev": 3, "test": 4, "long": 2}
    assert [(report.name, report.weight, report.kept) for report in manifest.corpora] == [
        ("first", 2.0, 20),
        ("second", 1.0, 5),
    ]
    origin = np.load(tmp_path / "out" / "train.origin.npy", allow_pickle=False)
    assert origin.dtype == np.uint16
    assert origin.tolist() == [0] * 20 + [1] * 5


def test_train_is_cleaned_against_the_held_out_splits_of_every_corpus(tmp_path: Path) -> None:
    first, second = own(tmp_path, "first"), own(tmp_path, "second", sizes={"long": 2}, word="긴문장")
    with (tmp_path / "first" / "train.ko").open("a", encoding="utf-8") as korean:
        korean.write((tmp_path / "second" / "long.ko").read_text(encoding="utf-8").splitlines()[0] + "\n\n")
    with (tmp_path / "first" / "train.en").open("a", encoding="utf-8") as english:
        english.write("A translation of its own.\nNothing on the other side.\n")
    manifest = prepared(config_of(first, second), tmp_path / "out")
    assert {reason: count for reason, count in manifest.dropped.items() if count} == {"contamination": 1, "empty": 1}
    assert manifest.splits["train"] == 20


def write_rows(path: Path, rows: list[str]) -> str:
    path.write_text("ko\ten\n" + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return str(path)


def test_malformed_records_and_dropped_pairs_are_reported_by_reason_with_examples(tmp_path: Path) -> None:
    rows = [f"이것은 {n}번 문장입니다.\tThis is sentence {n}." for n in range(600)]
    train = write_rows(tmp_path / "train.tsv", [*rows, *["한 칸"] * 4, "\tNothing here.", "a\tb\tc"])
    dev = write_rows(tmp_path / "dev.tsv", ["다른 문장.\tAnother one.", "한 칸"])
    own = {"name": "own", "format": "tsv", "splits": {"train": {"path": train}, "dev": {"path": dev}}}
    manifest = prepared(config_of(own), tmp_path / "out")
    (report,) = manifest.corpora
    assert (report.read, report.kept) == (601, 600)
    assert report.malformed == {"columns": 6}
    assert report.examples["columns"][0] == f"{dev}:3: has 1 cells, but should have at least 2"
    assert report.examples["columns"][1:] == tuple(
        f"{train}:{line}: has 1 cells, but should have at least 2" for line in (602, 603)
    )
    assert report.examples["empty"] == (" → Nothing here.",)
    assert manifest == CorpusManifest.read(tmp_path / "out")
    strict = config_of(own, cleaning={"max_malformed": 0.001})
    assert key_of(strict) != manifest.key
    write_rows(tmp_path / "train.tsv", [*rows, *["한 칸"] * 7])
    with pytest.raises(DataError, match=r"train\.tsv: 7 of 607 records \(1\.2%\) are malformed, more than cleaning"):
        prepared(config_of(own), tmp_path / "new")
    assert prepared(config_of(own, cleaning={"max_malformed": 0.02}), tmp_path / "new").splits["train"] == 600


def test_a_catalogue_without_a_translation_is_counted_and_a_split_without_a_pair_refused(tmp_path: Path) -> None:
    untranslated, translated = tmp_path / "a.po", tmp_path / "b.po"
    untranslated.write_text('msgid "Yes, of course."\nmsgstr ""\n', encoding="utf-8")
    translated.write_text('msgid "No, not at all."\nmsgstr "아니요, 전혀요."\n', encoding="utf-8")

    def catalogue(name: str, **files: Path) -> dict[str, Any]:
        return {"name": name, "format": "po", "splits": {split: {"path": str(path)} for split, path in files.items()}}

    both = catalogue("a", train=untranslated), catalogue("b", train=translated)
    dev = own(tmp_path, "dev", sizes={"dev": 2})
    manifest = prepared(config_of(*both, dev), tmp_path / "out")
    assert manifest.splits["train"] == 1
    assert [report.unused for report in manifest.corpora] == [{"untranslated": 1}, {}, {}]
    with pytest.raises(DataError, match="cleaning keeps no training pair"):
        prepared(config_of(both[0], dev), tmp_path / "none")
    with pytest.raises(DataError, match="no file of the dev split has a pair"):
        prepared(config_of(both[1], catalogue("c", dev=untranslated)), tmp_path / "none")


def test_held_out_lines_are_unchanged(tmp_path: Path) -> None:
    corpus = own(tmp_path)
    raw = "\u200b  두  칸\u2028줄 \x00끝\n\nNFD 각\n"
    Path(corpus["splits"]["dev"]["source"]).write_text(raw, encoding="utf-8", newline="\n")
    manifest = prepared(config_of(corpus), tmp_path / "out")
    assert PreparedCorpus.read(tmp_path / "out").split("dev").source == raw.removesuffix("\n").split("\n")
    assert manifest.normalised == {"nfc": 0, "invisible": 0}


def test_dev_and_test_can_be_held_out_of_train(tmp_path: Path) -> None:
    corpus = own(tmp_path, sizes={"train": 50}, holdout={"dev": 5, "test": 6})
    manifest = prepared(config_of(corpus), tmp_path / "out")
    assert manifest.splits == {"train": 39, "dev": 5, "test": 6}
    train = set(read_lines(tmp_path / "out" / "train.ko"))
    assert not train & set(PreparedCorpus.read(tmp_path / "out").split("test").source)


def test_a_folder_is_created_atomically(tmp_path: Path) -> None:
    corpus = own(tmp_path)
    Path(corpus["splits"]["train"]["source"]).write_text("하나\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"train\.ko has 1 lines but train\.en has 20"):
        prepared(config_of(corpus), tmp_path / "out")
    corpus = own(tmp_path)
    with pytest.raises(DataError, match="cleaning keeps no training pair"):
        prepared(config_of(corpus, cleaning={"max_characters": 1}), tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"own"}


def test_the_error_for_an_empty_train_lists_the_reasons(tmp_path: Path) -> None:
    config = config_of(own(tmp_path), cleaning={"max_characters": 1})
    with pytest.raises(DataError) as caught:
        prepared(config, tmp_path / "out")
    assert str(caught.value) == (
        "config test: cleaning keeps no training pair (20 read, dropped 20 by max_characters); see `cleaning`"
    )


def test_train_and_dev_are_required_but_not_test(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no corpus has a `train` split"):
        prepared(config_of(own(tmp_path, "a", sizes={"dev": 3})), tmp_path / "out")
    with pytest.raises(DataError, match=r"no corpus has a `dev` split; .* `holdout: \{dev: 500, test: 500\}`"):
        prepared(config_of(own(tmp_path, "b", sizes={"train": 3})), tmp_path / "out")
    manifest = prepared(config_of(own(tmp_path, "c", sizes={"train": 3, "dev": 3})), tmp_path / "out")
    assert "test" not in manifest.splits


def test_the_key_depends_on_every_byte_and_relevant_setting(tmp_path: Path) -> None:
    corpus = own(tmp_path)
    keys = {
        key_of(config_of(corpus)),
        key_of(config_of({**corpus, "weight": 2})),
        key_of(config_of({**corpus, "name": "other"})),
        key_of(config_of(corpus, cleaning={"duplicates": False})),
        key_of(config_of({**corpus, "splits": {k: v for k, v in corpus["splits"].items() if k != "test"}})),
        key_of(config_of(own(tmp_path, "held", sizes={"train": 50}, holdout={"dev": 5}))),
        key_of(config_of(own(tmp_path, "held", sizes={"train": 50}, holdout={"dev": 6}))),
    }
    assert key_of(config_of(corpus, seed=9, batches={"tokens": 99})) in keys
    path = Path(corpus["splits"]["dev"]["target"])
    path.write_bytes(path.read_bytes().replace(b"fine", b"good", 1))
    assert key_of(config_of(corpus)) not in keys
    assert len(keys) == 7


def test_the_key_does_not_depend_on_the_location_of_the_files(tmp_path: Path) -> None:
    assert key_of(config_of(own(tmp_path / "here"))) == key_of(config_of(own(tmp_path / "there")))


def test_a_missing_file_and_a_damaged_manifest_are_errors(tmp_path: Path) -> None:
    corpus = own(tmp_path)
    Path(corpus["splits"]["train"]["target"]).unlink()
    with pytest.raises(DataError, match=r"train\.en: there is no such file"):
        key_of(config_of(corpus))
    (tmp_path / "manifest.json").write_text(json.dumps({"stage": "corpus"}))
    with pytest.raises(DataError, match=r"manifest\.json: is damaged; delete"):
        CorpusManifest.read(tmp_path)


IMPOSSIBLE = {
    "names part of a path": ({"splits": {"../train": {"path": "a"}}}, "split '../train' becomes part of file names"),
    "holds out what is there": ({"holdout": {"dev": 3}}, "has files for dev, so dev cannot be held out"),
    "holds out nothing": ({"holdout": {"more": 0}}, "holdout.more must be at least 1"),
}


@pytest.mark.parametrize(("settings", "message"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_impossible_corpora_are_refused(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        prepared(config_of({**own(tmp_path), **settings}), tmp_path / "out", Library(cache=tmp_path))


@pytest.mark.skipif(not OPEN.exists(), reason="needs the shared corpora")
def test_cleaning_drops_little_of_a_real_corpus(tmp_path: Path) -> None:
    splits = {
        split: {"source": str(OPEN / f"{split}.ko"), "target": str(OPEN / f"{split}.en")} for split in ("dev", "test")
    }
    corpus = {"name": "open", "format": "lines", "splits": {"train": splits["test"], "dev": splits["dev"]}}
    manifest = prepared(config_of(corpus), tmp_path / "out")
    assert manifest.splits["train"] >= 0.99 * 2001


def write_tsv(path: Path, first: int, count: int, header: str = "ko\ten") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = header.split("\t")
    rows = [
        "\t".join(
            {"ko": f"문장 {n}번은 좋은 말입니다.", "en": f"Number {n} is fine."}.get(name, "x") for name in columns
        )
        for n in range(first, first + count)
    ]
    path.write_text("".join(f"{row}\n" for row in (header, *rows)), encoding="utf-8")
    return path


def of_tables(**splits: Any) -> Config:
    return config_of(
        {"name": "own", "format": "tsv", "splits": {name: {"path": path} for name, path in splits.items()}}
    )


def documents_in(folder: Path) -> Config:
    """A config of 20 files below a folder, of which whole files are held out."""
    for name in range(20):
        write_tsv(folder / f"{name % 3}" / f"{name}.tsv", 10 * name, 5)
    corpus = {
        "name": "own", "format": "tsv", "splits": {"train": {"path": f"{folder}/**/*.tsv"}}, "holdout": {"dev": 15},
        "holdout_by": "file",
    }  # fmt: skip
    return config_of(corpus)


def test_the_folder_of_a_corpus_does_not_decide_which_of_its_files_are_held_out(tmp_path: Path) -> None:
    here, elsewhere = documents_in(tmp_path / "here"), documents_in(tmp_path / "some" / "where" / "else")
    for number, config in enumerate((here, elsewhere)):
        prepared(config, tmp_path / str(number))
    assert read_lines(tmp_path / "0" / "dev.en") == read_lines(tmp_path / "1" / "dev.en")
    assert key_of(here) == key_of(elsewhere)
    (tmp_path / "here" / "0" / "0.tsv").rename(tmp_path / "here" / "0" / "other.tsv")
    assert key_of(here) != key_of(elsewhere)


def test_a_corpus_may_have_its_own_values_of_rules(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.tsv").write_text("ko\ten\n네, 그렇습니다.\tYes.\n숫자 3입니다.\tNumber 4.\n", "utf-8")
    dev = write_tsv(tmp_path / "dev.tsv", 100, 3)
    corpora: list[dict[str, Any]] = [
        {"name": name, "format": "tsv", "splits": {"train": {"path": str(tmp_path / f"{name}.tsv")}}}
        for name in ("one", "two")
    ]
    corpora[0]["splits"]["dev"] = {"path": str(dev)}
    corpora[1]["cleaning"] = {"max_length_ratio": 2, "numbers": True}
    config = config_of(*corpora, cleaning={"duplicates": False})
    manifest = prepared(config, tmp_path / "out")
    dropped = [{reason: count for reason, count in report.dropped.items() if count} for report in manifest.corpora]
    assert dropped == [{}, {"max_length_ratio": 1, "numbers": 1}]
    same = config_of(corpora[0], corpora[1] | {"cleaning": {}}, cleaning={"duplicates": False})
    assert resolve_corpora(same).key != resolve_corpora(config).key


def test_a_split_may_be_a_pattern_or_a_list_whose_files_are_counted_alone(tmp_path: Path) -> None:
    write_tsv(tmp_path / "모음" / "2_대화체.tsv", 10, 4, "en\tid\tko")
    write_tsv(tmp_path / "모음" / "깊이" / "1_구어체.tsv", 0, 3)
    more, dev = write_tsv(tmp_path / "more.tsv", 20, 2), write_tsv(tmp_path / "dev.tsv", 100, 3)
    config = of_tables(train=[str(more), unicodedata.normalize("NFD", f"{tmp_path}/모음/**/*.tsv")], dev=str(dev))
    manifest = prepared(config, tmp_path / "out")
    read = {"more.tsv": 2, "2_대화체.tsv": 4, "1_구어체.tsv": 3}
    assert {Path(file).name: pairs for file, pairs in manifest.corpora[0].files["train"].items()} == read
    assert read_lines(tmp_path / "out" / "train.en") == [
        f"Number {n} is fine." for n in (20, 21, 10, 11, 12, 13, 0, 1, 2)
    ]
    assert len(manifest.inputs) == 4
    shown = [line.split() for line in files_table(manifest).split("\n")[1:]]
    assert [(words[0], words[1], words[-1]) for words in shown] == [("own", "train", n) for n in "243"]
    assert files_table(prepared(of_tables(train=str(more), dev=str(dev)), tmp_path / "one")) == ""


def test_the_key_depends_on_the_bytes_and_order_of_all_files(tmp_path: Path) -> None:
    dev = str(write_tsv(tmp_path / "dev.tsv", 100, 3))
    files = [str(write_tsv(tmp_path / f"{name}.tsv", n * 10, 4)) for n, name in enumerate("abc")]
    listed = key_of(of_tables(train=files, dev=dev))
    assert listed == key_of(of_tables(train=str(tmp_path / "?.tsv"), dev=dev))
    others = {
        key_of(of_tables(train=files[::-1], dev=dev)),
        key_of(of_tables(train=files[:2], dev=dev)),
    }
    write_tsv(tmp_path / "b.tsv", 50, 4)
    others.add(key_of(of_tables(train=files, dev=dev)))
    assert len(others - {listed}) == 3


def test_sides_of_several_files_are_paired_in_their_order(tmp_path: Path) -> None:
    dev = write_split(tmp_path, "dev", 3)
    for name in ("a", "b"):
        write_split(tmp_path / "train", name, 4)
    split = {"source": f"{tmp_path}/train/*.ko", "target": f"{tmp_path}/train/*.en"}
    corpus = {"name": "own", "format": "lines", "splits": {"train": split, "dev": dev}}
    prepared(config_of(corpus), tmp_path / "out")
    pairs = [read_lines(tmp_path / "out" / f"train.{side}") for side in ("ko", "en")]
    assert [(ko.split()[1], en.split()[0]) for ko, en in zip(*pairs, strict=True)] == [("a", "a")] * 4 + [
        ("b", "b")
    ] * 4
    (tmp_path / "train" / "b.en").unlink()
    with pytest.raises(DataError, match=r"split train: `source` has 2 files but `target` has 1 \(a.ko, b.ko; a.en\)"):
        key_of(config_of(corpus))


def test_errors_for_missing_files_name_similar_ones(tmp_path: Path) -> None:
    dev = str(write_tsv(tmp_path / "data" / "dev.tsv", 100, 3))
    for named, message in (
        (tmp_path / "dat" / "*.tsv", rf"corpus 'own': split train: no file matches .*; similar names: {tmp_path}/data"),
        (tmp_path / "data", rf"split train: {tmp_path}/data is a folder; name its files .* {tmp_path}/data/\*\.tsv"),
        (tmp_path, rf"{tmp_path} is a folder; name its files .* {tmp_path}/\*\*/\*\.tsv"),
        (tmp_path / "data" / "devv.tsv", rf"devv.tsv: there is no such file; did you mean {dev}\?"),
    ):
        with pytest.raises(DataError, match=message):
            key_of(of_tables(train=str(named), dev=dev))


def test_some_of_several_files_may_have_no_text(tmp_path: Path) -> None:
    dev = str(write_tsv(tmp_path / "dev.tsv", 100, 3))
    write_tsv(tmp_path / "a" / "1.tsv", 0, 0)
    write_tsv(tmp_path / "a" / "2.tsv", 0, 5)
    manifest = prepared(of_tables(train=f"{tmp_path}/a/*.tsv", dev=dev), tmp_path / "out")
    assert list(manifest.corpora[0].files["train"].values()) == [0, 5]
    write_tsv(tmp_path / "a" / "2.tsv", 0, 0)
    with pytest.raises(DataError, match="there is no text in it"):
        prepared(of_tables(train=f"{tmp_path}/a/*.tsv", dev=dev), tmp_path / "none")


def test_compressed_files_of_every_format_give_the_same_text(tmp_path: Path) -> None:
    pairs = [(f"문장 {n}번은 좋은 말입니다.", f"Number {n} is fine.") for n in range(9)]
    texts = {
        "tsv": "ko\ten\n" + "".join(f"{ko}\t{en}\n" for ko, en in pairs),
        "csv": "ko,en\n" + "".join(f"{ko},{en}\n" for ko, en in pairs),
        "jsonl": "".join(json.dumps({"ko": ko, "en": en}) + "\n" for ko, en in pairs),
        "json": json.dumps([{"ko": ko, "en": en} for ko, en in pairs]),
        "tmx": "<tmx><body>" + "".join(
            f'<tu><tuv lang="ko"><seg>{ko}</seg></tuv><tuv lang="en"><seg>{en}</seg></tuv></tu>' for ko, en in pairs
        ) + "</body></tmx>",
        "po": 'msgid ""\nmsgstr ""\n\n' + "".join(f'msgid "{en}"\nmsgstr "{ko}"\n\n' for ko, en in pairs),
    }  # fmt: skip
    for format, text in texts.items():
        for pack in (gzip.compress, lzma.compress, zstd.compress):
            path = tmp_path / f"text.{format}"
            path.write_bytes(pack(text.encode()))
            read = read_pairs(SplitFiles(path=path), format, Fields())  # type: ignore[arg-type]
            assert list(zip(*read, strict=True)) == pairs


@pytest.mark.parametrize("split", ["train", "dev"])
def test_swapped_sides_are_refused_in_every_split(split: str, tmp_path: Path) -> None:
    corpus = own(tmp_path)
    files = corpus["splits"][split]
    files["source"], files["target"] = files["target"], files["source"]
    with pytest.raises(
        DataError, match=rf"{split}.en, .*{split}.ko: the source side has almost no Hangul \(0% .* exch"
    ):
        prepared(config_of(corpus), tmp_path / "out")
    exchanged = config_of(corpus, cleaning={"min_hangul": 0, "max_hangul_target": 1})
    assert prepared(exchanged, tmp_path / "out").splits == {"train": 20, "dev": 3, "test": 4}
    table = {"name": "own", "format": "tsv", "fields": {"source": "en", "target": "ko"}}
    path = str(write_tsv(tmp_path / "a.tsv", 0, 9))
    with pytest.raises(DataError, match=r"a\.tsv: the source side has almost no Hangul"):
        prepared(config_of({**table, "splits": {"train": {"path": path}, "dev": {"path": path}}}), tmp_path / "x")


def test_a_few_swapped_pairs_are_dropped_by_cleaning(tmp_path: Path) -> None:
    corpus = own(tmp_path)
    for side, line in (("ko", "This is English."), ("en", "이것은 한국어입니다.")):
        with (tmp_path / "own" / f"train.{side}").open("a", encoding="utf-8") as file:
            file.write(f"{line}\n" * 5)
    manifest = prepared(config_of(corpus), tmp_path / "out")
    assert manifest.dropped["min_hangul"] == 5


def test_pairs_that_cleaning_drops_are_not_held_out_but_counted(tmp_path: Path) -> None:
    corpus = own(tmp_path, sizes={"train": 60}, holdout={"dev": 9, "test": 9})
    for side, lines in (
        ("ko", ["나무입니다.", "", "same", "Wrong side."]),
        ("en", ["", "A tree.", "same", "틀린 쪽입니다."]),
    ):
        with (tmp_path / "own" / f"train.{side}").open("a", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines * 10))
    manifest = prepared(config_of(corpus), tmp_path / "out")
    assert manifest.splits == {"train": 42, "dev": 9, "test": 9}
    dropped = {reason: count for reason, count in manifest.dropped.items() if count}
    assert dropped == {"empty": 20, "equal_sides": 10, "min_hangul": 10}
    assert manifest.corpora[0].read == 82
    for split in ("dev", "test"):
        text = PreparedCorpus.read(tmp_path / "out").split(split)
        assert all("문장" in source and "number" in target for source, target, _ in zip(*text, strict=True))


def test_one_message_covers_too_few_pairs_for_holdout_and_vocabulary(tmp_path: Path) -> None:
    corpus = own(tmp_path, sizes={"train": 500}, holdout={"dev": 500, "test": 500})
    with pytest.raises(DataError) as caught:
        prepared(config_of(corpus, tokenizer={"vocabulary_size": 4000}), tmp_path / "out")
    ending = "holdout: {dev: 50, test: 50}; and set tokenizer.vocabulary_size (4000) to about 1100"
    assert str(caught.value).endswith(ending)
    with pytest.raises(DataError, match=r"holdout: {dev: 50, test: 50}$"):
        prepared(config_of(corpus, tokenizer={"vocabulary_size": 1500}), tmp_path / "out")
