"""A closer look at training text."""

from collections import Counter
from pathlib import Path

import pytest

from kotrans.config.loading import check_config
from kotrans.config.schema import Config
from kotrans.data.corpora import Library
from kotrans.data.formats.pairs import Pair
from kotrans.data.prepare_corpus import CorpusManifest, prepare_corpus, resolve_corpora
from kotrans.data.survey import survey
from kotrans.report.survey_text import survey_text

ROWS = {
    "one": [
        *((f"문장 {n}번을 읽었습니다.", f"I read sentence number {n}.") for n in range(40)),
        *(("같은 문장입니다.", "The same sentence.") for _ in range(5)),
        *((f"GitHub {n}", f"GitHub {n}") for n in range(30)),
        ("나는 어제 학교에 갔어요.", "I went to school yesterday."),
        ("", "Nothing."),
    ],
    "two": [(f"다른 문장 {n}번입니다.", f"Another sentence, number {n}.") for n in range(10)]
    + [("문장 3번을 읽었습니다.", "I read sentence number 3.")],
    "dev": [("나는 어제 학교에 갔어요.", "I went to school yesterday.")],
}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    for name, rows in ROWS.items():
        (tmp_path / f"{name}.tsv").write_text("ko\ten\n" + "".join(f"{a}\t{b}\n" for a, b in rows), "utf-8")
    corpora = [
        {"name": name, "format": "tsv", "splits": {"train": {"path": f"{tmp_path}/{name}.tsv"}}}
        for name in ("one", "two")
    ]
    corpora[0]["splits"]["dev"] = {"path": f"{tmp_path}/dev.tsv"}  # type: ignore[index]
    return check_config({"name": "own", "corpora": corpora}, "own")


def prepared(config: Config, folder: Path) -> CorpusManifest:
    return prepare_corpus(resolve_corpora(config), folder)


def test_the_dropped_pairs_are_those_that_preparation_counts(config: Config, tmp_path: Path) -> None:
    manifest = prepared(config, tmp_path / "prepared")
    dropped: list[tuple[str, str, Pair]] = []
    survey(config, Library().corpora(config.corpora), 0, lambda *found: dropped.append(found))
    counts = {report.name: {reason: count for reason, count in report.dropped.items() if count}
              for report in manifest.corpora}  # fmt: skip
    assert {name: Counter(reason for of, reason, _ in dropped if of == name) for name in counts} == counts
    assert ("one", "contamination", ("나는 어제 학교에 갔어요.", "I went to school yesterday.")) in dropped


def test_samples_are_random_dropped_pairs_of_each_reason(config: Config) -> None:
    one, two = survey(config, Library().corpora(config.corpora), 3)
    assert len(one.samples["equal_sides"]) == 3
    assert one.samples["equal_sides"] != [(f"GitHub {n}", f"GitHub {n}") for n in range(3)]
    assert set(one.samples["equal_sides"]) <= set(ROWS["one"])
    assert two.samples == {"duplicates": [("문장 3번을 읽었습니다.", "I read sentence number 3.")]}


def test_kept_pairs_are_grouped_by_length_and_ratio(config: Config) -> None:
    one, two = survey(config, Library().corpora(config.corpora), 0)
    assert one.words == {0: 41}
    assert one.ratios.total() == 41
    assert two.words.total() == 10


def test_overlaps_are_pairs_with_a_side_in_another_corpus_or_split(config: Config) -> None:
    one, two = survey(config, Library().corpora(config.corpora), 0)
    assert one.overlaps == {"two": 1, "dev": 1}
    assert two.overlaps == {"one": 1, "dev": 0}


def test_the_text_has_a_part_for_each_reason_and_figure(config: Config) -> None:
    text = survey_text(survey(config, Library().corpora(config.corpora), 1))
    for part in ("one, dropped: equal_sides\n    GitHub", "one: English words", "two: length ratio", "also in"):
        assert part in text
    assert "1–5" in text
