"""Near-duplicates of held-out sentences."""

import pytest

from kotrans.config.sections import CleaningConfig
from kotrans.data.cleaning import Cleaner
from kotrans.data.near_duplicates import NearDuplicates

HELD_OUT = "return the number of items in the given dictionary"


@pytest.mark.parametrize(
    ("sentence", "near"),
    [
        (HELD_OUT, True),
        (HELD_OUT.replace("given", "first"), True),  # 4 of 7 sequences
        ("please " + HELD_OUT + " or raise an error if there is none at all", True),  # contains it
        ("return the number of words in the text", False),  # 2 of 6
        ("return the number", False),  # too short to tell
        ("", False),
    ],
)
def test_sentences_that_share_most_of_their_sequences_are_near(sentence: str, near: bool) -> None:
    assert (sentence in NearDuplicates([HELD_OUT], 0.5)) == near


def test_the_limit_itself_is_accepted() -> None:
    one, other = "a b c d e f g h", "a b c d e x y z"  # 3 of 6 sequences
    assert other not in NearDuplicates([one], 0.5)
    assert other in NearDuplicates([one], 0.49)


def test_a_limit_of_one_keeps_everything() -> None:
    assert HELD_OUT not in NearDuplicates([HELD_OUT], 1.0)


def test_cleaning_counts_near_duplicates_apart_from_exact_ones() -> None:
    held_out = [("주어진 사전에 있는 항목의 수를 반환합니다", HELD_OUT)]
    pairs = [
        ("다른 말로 옮긴 것입니다", HELD_OUT.replace("given", "first")),
        ("주어진 사전에 있는 항목의 수를 반환합니다", "A free translation."),
        ("이것은 관계없는 문장입니다", "This one is about something else."),
    ]
    cleaned = Cleaner(CleaningConfig(max_held_out_overlap=0.5), held_out)(pairs)
    assert cleaned.counts.dropped == {"max_held_out_overlap": 1}
    assert cleaned.held_out.tolist() == [True, False]
