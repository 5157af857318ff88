"""Scores by the training frequency of rare words."""

from hypothesis import given
from hypothesis import strategies as st

from kotrans.evaluation.diagnostics import by_rarest_word
from kotrans.evaluation.metrics import bleu
from kotrans.text.word_counts import word_counts

LINES = st.lists(st.text(alphabet="aAb' 1é-", max_size=12), max_size=5)


def test_words_are_letters_in_any_case_with_their_apostrophes() -> None:
    counts = word_counts(["Don't stop, don't STOP!", "3 café-owners in 1961; 'quoted'", ""])
    assert counts == {"don't": 2, "stop": 2, "café": 1, "owners": 1, "in": 1, "quoted": 1}


@given(LINES, LINES)
def test_the_counts_of_two_texts_add_up(one: list[str], other: list[str]) -> None:
    assert word_counts(one + other) == word_counts(one) + word_counts(other)


def test_a_pair_is_in_the_bucket_of_the_rarest_word_of_its_reference() -> None:
    counts = {"the": 5000, "cat": 20, "sat": 4}
    references = ["The cat sat", "the cat", "the", "the zebra", "1961 ?!"]
    hypotheses = ["The cat sat", "the dog", "the", "the horse", "1961 ?!"]
    buckets = by_rarest_word(hypotheses, references, counts)
    assert [(bucket.label, bucket.pairs) for bucket in buckets] == [
        ("0", 1), ("1-4", 1), ("20-99", 1), ("over 999", 1),
    ]  # fmt: skip
    assert buckets[0].bleu == bleu(hypotheses[3:4], references[3:4])


def test_references_without_a_word_make_no_bucket() -> None:
    assert by_rarest_word(["1", ""], ["1", ""], {}) == []
