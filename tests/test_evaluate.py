"""Scores against sacrebleu called directly, and what is refused."""

import json
import logging
import subprocess
import sys

import pytest
import sacrebleu

from kotrans.errors import DataError
from kotrans.evaluate import Bucket, bleu, by_length, score

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


def test_scores_and_buckets_are_ready_for_json() -> None:
    scores = score(HYPOTHESES, REFERENCES)
    assert json.loads(json.dumps(scores.as_dict())) == scores.as_dict()
    assert scores.as_dict()["bleu"] == scores.bleu
    assert Bucket("up to 5", 3, 20.5).as_dict() == {"label": "up to 5", "pairs": 3, "bleu": 20.5}


def test_buckets_hold_every_pair_once_by_the_words_of_the_source() -> None:
    sources = ["가 나", "가 나 다", "가 나 다 라 마", ""]
    buckets = by_length(sources, HYPOTHESES, REFERENCES, edges=(2, 4, 8, 16))
    assert [(bucket.label, bucket.pairs) for bucket in buckets] == [("up to 2", 2), ("3-4", 1), ("5-8", 1)]
    assert buckets[0].bleu == bleu([HYPOTHESES[0], HYPOTHESES[3]], [REFERENCES[0], REFERENCES[3]])
    assert buckets[1].bleu == bleu(HYPOTHESES[1:2], REFERENCES[1:2])
    assert by_length(["가 나 다"], ["a"], ["a"], edges=(2,))[0].label == "over 2"
    assert sum(bucket.pairs for bucket in by_length(sources, HYPOTHESES, REFERENCES)) == 4


def test_unequal_numbers_of_lines_are_refused_with_both_numbers() -> None:
    message = r"^out.en: has 3 lines but test.en has 4; line N of one must belong to line N of the other$"
    with pytest.raises(DataError, match=message):
        score(HYPOTHESES[:3], REFERENCES, names=("out.en", "test.en"))
    with pytest.raises(DataError, match=r"^sources: has 1 lines but references has 4"):
        by_length(["가"], HYPOTHESES, REFERENCES)


def test_an_empty_corpus_is_refused() -> None:
    with pytest.raises(DataError, match=r"^references: has no lines to score against"):
        score([], [])


def test_a_line_that_makes_ter_slow_is_named(caplog: pytest.LogCaptureFixture) -> None:
    long = "word " * 201
    with caplog.at_level(logging.WARNING, logger="kotrans"):
        score(["short", long], ["short", long])
    assert "line 2 has 201 words" in caplog.text


def test_evaluation_needs_no_torch() -> None:
    code = "import sys, kotrans.evaluate as e; e.score(['a'], ['a']); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
