"""Plain-text tables."""

from typing import Any

import yaml

from kotrans.data.corpora import Library
from kotrans.data.prepare_corpus import CorpusManifest, CorpusReport
from kotrans.evaluation.metrics import Bucket
from kotrans.report.text_table import (
    buckets_table,
    cleaning_examples,
    cleaning_table,
    corpus_details,
    files_table,
    shown_width,
    table,
)


def test_columns_are_aligned_in_korean_too() -> None:
    lines = table(["이름", "pairs"], [["나무와 바다", "1"], ["a", "12,345"]]).split("\n")
    assert lines == ["이름          pairs", "나무와 바다       1", "a            12,345"]
    assert len({shown_width(line) for line in lines}) == 1


def test_text_is_aligned_left_and_figures_right_without_trailing_spaces() -> None:
    text = table(["a", "b", "c"], [["x", "long", "1"], ["y", "z", ""]], left=2)
    assert text.split("\n") == ["a  b     c", "x  long  1", "y  z"]


def test_a_table_without_rows_is_its_header() -> None:
    assert table(["a", "b"], []) == "a  b"


def test_hangul_takes_two_columns() -> None:
    assert [shown_width(text) for text in ("", "ab", "가나", "漢a", "→")] == [0, 2, 4, 3, 1]


def test_the_cleaning_table_has_a_column_per_corpus_and_a_row_per_reason() -> None:
    reports = tuple(
        CorpusReport(
            name=name, weight=1, read=1000 + n, kept=n, dropped={"empty": 1000}, normalised={"nfc": n}, fetched=None
        )
        for n, name in enumerate(("first", "second"))
    )
    manifest = CorpusManifest(
        key="k",
        inputs={},
        text={},
        corpora=reports,
        splits={"train": 1},
        dropped={"empty": 2000},
        normalised={"nfc": 1},
    )
    assert cleaning_table(manifest).split("\n") == [
        "training pairs         first  second",
        "read                   1,000   1,001",
        "dropped: empty         1,000   1,000",
        "kept                       0       1",
        "lines normalised: nfc      0       1",
    ]


def test_malformed_and_unused_records_have_rows_and_examples_for_the_reasons_that_occurred() -> None:
    def report(name: str, **more: Any) -> CorpusReport:
        return CorpusReport(
            name=name, weight=1, read=5, kept=4, dropped={"empty": 1}, normalised={}, fetched=None, **more
        )

    reports = (
        report("first", malformed={"columns": 1200}, unused={"fuzzy": 1}, examples={"columns": ("a.tsv:3: short",)}),
        report("second", unused={"fuzzy": 2}, examples={"empty": ("네 → ", "예 → ")}),
    )
    manifest = CorpusManifest(
        key="k", inputs={}, text={}, corpora=reports, splits={"train": 8}, dropped={"empty": 2}, normalised={}
    )
    assert cleaning_table(manifest).split("\n") == [
        "training pairs      first  second",
        "read                    5       5",
        "malformed: columns  1,200       0",
        "not used: fuzzy         1       2",
        "dropped: empty          1       1",
        "kept                    4       4",
    ]
    assert cleaning_examples(manifest).split("\n") == [
        "first, malformed: columns",
        "    a.tsv:3: short",
        "second, dropped: empty",
        "    네 → ",
        "    예 → ",
    ]


def test_a_table_of_buckets_has_sizes_and_scores() -> None:
    text = buckets_table("source words", [Bucket("up to 5", 1200, 31.256, 50.0), Bucket("over 60", 3, 0.0, 9.5)])
    assert text.split("\n") == [
        "source words  pairs   BLEU   chrF",
        "up to 5       1,200  31.26  50.00",
        "over 60           3   0.00   9.50",
    ]


def test_of_many_files_the_first_are_shown_and_the_rest_added() -> None:
    report = CorpusReport(
        name="docs", weight=1, read=0, kept=0, dropped={}, normalised={}, fetched=None,
        files={"train": {f"{n}.po": 10 for n in range(30)}},
    )  # fmt: skip
    manifest = CorpusManifest(key="k", inputs={}, text={}, corpora=(report,), splits={}, dropped={}, normalised={})
    lines = files_table(manifest).split("\n")
    assert len(lines) == 22
    assert lines[-1].split() == ["docs", "train", "10", "more", "files", "100"]


def test_the_details_of_a_corpus_end_with_lines_for_a_config() -> None:
    listings = {listing.entry.name: listing for listing in Library().listings(opus=True)}
    for name, listing in listings.items():
        details = corpus_details(listing)
        assert listing.entry.licence in details
        (corpus,) = yaml.safe_load("corpora:" + details.partition("corpora:")[2])["corpora"]
        assert corpus["name"] == name
        assert ("holdout" in corpus) == ("dev" not in (*listing.entry.splits, *listing.entry.holdout)
                                         and "train" in listing.entry.splits)  # fmt: skip
