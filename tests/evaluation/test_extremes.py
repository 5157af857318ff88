"""Which sentences `eval` shows as worst and best, and `compare` as better."""

from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kotrans.evaluation import test_sets
from kotrans.evaluation.compare import SystemComparison
from kotrans.evaluation.diagnostics import scored_pairs
from kotrans.evaluation.evaluate import Evaluation, evaluate_file
from kotrans.storage.files import write_lines

CHRF = st.lists(st.sampled_from([0.0, 12.5, 50.0, 100.0]), min_size=1, max_size=12)
REFERENCES = ["a small tree", "the sea", "a big house", "the sea"]


@pytest.fixture
def evaluation(tmp_path: Path) -> Evaluation:
    write_lines(tmp_path / "reference", REFERENCES)
    write_lines(tmp_path / "hypothesis", ["a small tree", "xyz", "a big mouse", "xyz"])
    test_set = test_sets.files_as_test_set(None, tmp_path / "reference")
    return evaluate_file(tmp_path / "hypothesis", test_set, tmp_path / "reference")


def test_the_worst_have_the_lowest_chrf_and_the_best_the_highest_equal_ones_by_line(evaluation: Evaluation) -> None:
    assert [each.line for each in evaluation.worst(10)] == [2, 4, 3, 1]
    assert [each.line for each in evaluation.best(10)] == [1, 3, 2, 4]
    assert [each.chrf[0] for each in evaluation.worst(3)] == [0, 0, pytest.approx(evaluation.chrf[2])]
    assert evaluation.best(0) == []


@given(CHRF, st.data())
def test_sentences_shown_as_better_have_the_largest_gains_and_no_sentence_is_better_for_both_systems(
    first: list[float], data: st.DataObject
) -> None:
    second = data.draw(st.permutations(first))
    lines = [str(i) for i in range(len(first))]
    comparison = SystemComparison(
        test_sets.TestSet("x", None, lines), ("a", "b"), (lines, lines), [], (first, second), None
    )
    most = data.draw(st.integers(0, 12))
    for system in (0, 1):
        gains = {i: (first[i] - second[i]) * (1 - 2 * system) for i in range(len(first))}
        shown = [each.line - 1 for each in comparison.better(system, most)]
        assert len(shown) == min(most, sum(gain > 0 for gain in gains.values()))
        assert all(gains[i] >= gains[j] for i in shown for j in set(gains) - set(shown))
        assert [(-gains[i], i) for i in shown] == sorted((-gains[i], i) for i in shown)
        assert all(each.chrf == [first[each.line - 1], second[each.line - 1]] for each in comparison.better(system, 12))
    assert not {each.line for each in comparison.better(0, 12)} & {each.line for each in comparison.better(1, 12)}


def test_a_sentence_has_its_line_number_and_the_translation_of_every_system() -> None:
    (one,) = scored_pairs([1], [[10.0, 20.0], [30.0, 40.0]], ["가", "나"], [["a", "b"], ["c", "d"]], ["x", "y"])
    assert asdict(one) == {
        "line": 2, "chrf": [20.0, 40.0], "source": "나", "hypotheses": ["b", "d"], "reference": "y",
    }  # fmt: skip
    assert scored_pairs([0], [[1.0]], None, [["a"]], ["x"])[0].source is None
