"""Scores compared with those of sacrebleu, and errors."""

import logging
import subprocess
import sys

import pytest
import sacrebleu

from kotrans.errors import DataError
from kotrans.evaluation.metrics import bleu, by_label, by_length, by_number, score, sentence_chrf

REFERENCES = [
    "I met my friend at the library yesterday.",
    "It was raining, so we took a taxi.",
    "What time does the last train leave for Busan?",
    "She said that she would come back later.",
]
HYPOTHESES = [
    "I met a friend at the library yesterday.",
    "It rained, so we took a bus.",
    "What time does the last train to Busan leave?",
    "",
]


def test_scores_are_those_of_sacrebleu_with_its_signatures() -> None:
    scores = score(HYPOTHESES, REFERENCES)
    assert scores.bleu == sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES]).score
    assert scores.chrf == sacrebleu.corpus_chrf(HYPOTHESES, [REFERENCES]).score
    assert scores.ter == sacrebleu.corpus_ter(HYPOTHESES, [REFERENCES]).score
    assert scores.bleu == bleu(HYPOTHESES, REFERENCES)
    version = f"version:{sacrebleu.__version__}"
    assert scores.signatures["bleu"] == f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|{version}"
    assert scores.signatures["chrf"] == f"nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|{version}"
    assert scores.signatures["ter"] == f"nrefs:1|case:lc|tok:tercom|norm:no|punct:yes|asian:no|{version}"
    assert scores.pairs == 4


def test_a_perfect_translation_scores_best_and_an_empty_one_worst() -> None:
    perfect, empty = score(REFERENCES, REFERENCES), score([""] * 4, REFERENCES)
    assert (round(perfect.bleu, 6), round(perfect.chrf, 6), perfect.ter) == (100.0, 100.0, 0.0)
    assert (empty.bleu, empty.chrf, empty.ter) == (0.0, 0.0, 100.0)


def test_buckets_hold_every_pair_once_by_the_words_of_the_source() -> None:
    sources = ["가 나", "가 나 다", "가 나 다 라 마", ""]
    buckets = by_length(sources, HYPOTHESES, REFERENCES, edges=(2, 4, 8, 16))
    assert [(bucket.label, bucket.pairs) for bucket in buckets] == [("up to 2", 2), ("3-4", 1), ("5-8", 1)]
    assert buckets[0].bleu == bleu([HYPOTHESES[0], HYPOTHESES[3]], [REFERENCES[0], REFERENCES[3]])
    assert buckets[1].bleu == bleu(HYPOTHESES[1:2], REFERENCES[1:2])
    assert by_length(["가 나 다"], ["a"], ["a"], edges=(2,))[0].label == "over 2"
    assert sum(bucket.pairs for bucket in by_length(sources, HYPOTHESES, REFERENCES)) == 4


def test_the_scores_of_a_label_are_those_of_its_pairs_only() -> None:
    buckets = by_label(["b", "a", "b", "b"], HYPOTHESES, REFERENCES)
    assert [(bucket.label, bucket.pairs) for bucket in buckets] == [("b", 3), ("a", 1)]
    ours, theirs = [[lines[i] for i in (0, 2, 3)] for lines in (HYPOTHESES, REFERENCES)]
    assert buckets[0].bleu == sacrebleu.corpus_bleu(ours, [theirs]).score
    assert buckets[0].chrf == sacrebleu.corpus_chrf(ours, [theirs]).score
    with pytest.raises(DataError, match=r"^labels: has 1 lines but references has 4"):
        by_label(["a"], HYPOTHESES, REFERENCES)


def test_an_edge_belongs_to_the_bucket_below_it_and_buckets_are_sorted() -> None:
    buckets = by_number([9, 4, 0, 5], HYPOTHESES, REFERENCES, (0, 4, 8))
    assert [(bucket.label, bucket.pairs) for bucket in buckets] == [("0", 1), ("1-4", 1), ("5-8", 1), ("over 8", 1)]


def test_the_chrf_of_a_sentence_is_that_of_a_corpus_of_it_alone() -> None:
    each = sentence_chrf(HYPOTHESES, REFERENCES)
    assert each == [
        sacrebleu.sentence_chrf(ours, [theirs]).score for ours, theirs in zip(HYPOTHESES, REFERENCES, strict=True)
    ]
    assert each[3] == min(each) == 0


def test_different_numbers_of_lines_raise_data_error_with_both_numbers() -> None:
    message = r"^out.en: has 3 lines but test.en has 4; line N of one must belong to line N of the other$"
    with pytest.raises(DataError, match=message):
        score(HYPOTHESES[:3], REFERENCES, names=("out.en", "test.en"))
    with pytest.raises(DataError, match=r"^sources: has 1 lines but references has 4"):
        by_length(["가"], HYPOTHESES, REFERENCES)


def test_an_empty_corpus_raises_data_error() -> None:
    with pytest.raises(DataError, match=r"^references: has no lines to score against"):
        score([], [])


def test_a_line_that_is_slow_to_score_with_ter_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    long = "word " * 201
    with caplog.at_level(logging.WARNING, logger="kotrans"):
        score(["short", long], ["short", long])
    assert "line 2 has 201 words" in caplog.text


def test_evaluation_needs_no_torch() -> None:
    code = "import sys, kotrans.evaluation.metrics as e; e.score(['a'], ['a']); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
