"""Which sentences are shown."""

from hypothesis import given
from hypothesis import strategies as st

from kotrans.evaluation.diagnostics import highest, judged, lowest

VALUES = st.lists(st.sampled_from([0.0, 12.5, 50.0, 100.0]), max_size=12)


@given(VALUES, st.integers(0, 12))
def test_the_lowest_are_no_higher_than_any_other_and_equal_ones_come_by_line(values: list[float], most: int) -> None:
    chosen = lowest(values, most)
    assert len(chosen) == len(set(chosen)) == min(most, len(values))
    assert chosen == sorted(chosen, key=lambda i: (values[i], i))
    assert all(values[i] <= values[j] for i in chosen for j in set(range(len(values))) - set(chosen))


@given(VALUES, st.integers(0, 12))
def test_the_highest_are_the_lowest_of_the_opposite(values: list[float], most: int) -> None:
    assert highest(values, most) == lowest([-value for value in values], most)


def test_a_sentence_comes_with_its_line_number_and_every_system_s_translation() -> None:
    (one,) = judged([1], [[10.0, 20.0], [30.0, 40.0]], ["가", "나"], [["a", "b"], ["c", "d"]], ["x", "y"])
    assert one.as_dict() == {
        "line": 2, "chrf": [20.0, 40.0], "source": "나", "hypotheses": ["b", "d"], "reference": "y",
    }  # fmt: skip
    assert judged([0], [[1.0]], None, [["a"]], ["x"])[0].source is None
