"""Pairs of a test set that are in the training text."""

from hypothesis import given
from hypothesis import strategies as st

from kotrans.config.sections import CleaningConfig
from kotrans.data.cleaning import Cleaner
from kotrans.evaluation.diagnostics import seen_pairs
from kotrans.text.normalization import normalize

SIDE = st.sampled_from(["", "네", "네.", "나다 라마 바사 아자", "나다 라마, 바사 아자!", "One two three four", "a b"])
PAIRS = st.lists(st.tuples(SIDE, SIDE), max_size=8)


def test_short_pairs_are_seen_as_a_whole_and_long_sides_separately() -> None:
    sources, references = ["그래?", "그래?", "나는 어제 학교에 갔다."], ["Really?", "Is it?", "I went."]
    training = [("그래!", "really"), ("나는 어제, 학교에 갔다", "At school I was.")]
    assert seen_pairs(sources, references, training) == [0, 2]


@given(PAIRS, PAIRS)
def test_seen_pairs_are_those_that_cleaning_drops_from_training(
    test: list[tuple[str, str]], train: list[tuple[str, str]]
) -> None:
    config = CleaningConfig(min_hangul=0, max_hangul_target=1, max_length_ratio=1000, equal_sides=False)
    for pair in test:
        cleaned = Cleaner(config, [pair])(train)
        kept = [side.decode().split("\n")[:-1] for side in (cleaned.source, cleaned.target)]
        training = list(zip(*kept, strict=True))
        assert bool(seen_pairs([pair[0]], [pair[1]], training)) == cleaned.held_out.any()
        assert all(normalize(side) == side for sides in training for side in sides)
