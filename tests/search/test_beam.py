"""Properties of beam search and forced decoding that hold for any model."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kotrans.config.schema import SearchConfig
from kotrans.engine.stepper import Floats, Ints, Stepper, Weights
from kotrans.errors import ModelError, UsageError
from kotrans.search.beam import BeamSearch, search
from kotrans.search.greedy import forced_decoding
from kotrans.search.hypotheses import Hypothesis
from tests.search.small_models import VOCABULARY, RecurrentStepper, TableStepper, log_softmax, padded

EOS = 2
WORDS = range(4, VOCABULARY)
SOURCES = [[11, 9, 30], [6], [7, 38, 21, 9, 6, 6, 25, 14, 33], [12, 31, 8, 8, 19], [39, 10], [20] * 7, [6, 7, 8, 9]]
ALPHAS = (0.0, 0.6, 1.0, 2.5)


def settings_of(
    beam: int, alpha: float = 1.0, beta: float = 0.0, ratio: float = 1.0, extra: int = 6, most: int | None = 2
) -> SearchConfig:
    return SearchConfig(
        beam=beam, length_penalty=alpha, coverage_penalty=beta, max_length_ratio=ratio, max_length_extra=extra,
        max_repetitions=most,
    )  # fmt: skip


def assert_same(left: Hypothesis, right: Hypothesis) -> None:
    """Compares ids, and scores and weights to 1e-12, as the order of summation in the model may differ."""
    assert left.ids == right.ids
    assert left.finished == right.finished
    assert left.score == pytest.approx(right.score, abs=1e-12)
    assert left.token_log_probs == pytest.approx(right.token_log_probs, abs=1e-12)
    assert (left.weights is None) == (right.weights is None)
    if left.weights is not None and right.weights is not None:
        np.testing.assert_allclose(left.weights, right.weights, rtol=0, atol=1e-12)


@pytest.mark.parametrize("beam", [1, 2, 5, 30])
@pytest.mark.parametrize(("beta", "most"), [(0.0, 2), (0.3, 1), (0.3, None)])
def test_other_sentences_and_padding_never_change_a_translation_or_its_score(
    beam: int, beta: float, most: int | None
) -> None:
    stepper, config = RecurrentStepper(1), settings_of(beam, beta=beta, most=most)
    alone = [search(stepper, *padded([source]), config, n_best=beam)[0] for source in SOURCES]
    together = search(stepper, *padded(SOURCES, width=14), config, n_best=beam)
    backwards = search(stepper, *padded(SOURCES[::-1]), config, n_best=beam)[::-1]
    for one, batched, reverse in zip(alone, together, backwards, strict=True):
        for hypotheses in zip(one, batched, reverse, strict=True):
            assert_same(hypotheses[0], hypotheses[1])
            assert_same(hypotheses[0], hypotheses[2])


def collected_once(beam_search: BeamSearch[Any], before: dict[int, list[Hypothesis]]) -> dict[int, list[Hypothesis]]:
    """Collects results, none of which was collected before."""
    collected = beam_search.collect()
    assert not collected.keys() & before.keys()
    return collected


@pytest.mark.slow
@given(
    seed=st.integers(0, 10_000), attention=st.booleans(), beta=st.sampled_from([0.0, 0.3]),
    ratio=st.sampled_from([0.2, 1.0]),
    groups=st.lists(
        st.tuples(st.lists(st.sampled_from(SOURCES), min_size=1, max_size=3), st.integers(1, 6), st.integers(0, 5)),
        min_size=1, max_size=6,
    ),
)  # fmt: skip
@settings(max_examples=60)
def test_sentences_that_join_a_running_search_have_the_results_of_a_search_alone(
    seed: int, attention: bool, beta: float, ratio: float, groups: list[tuple[list[list[int]], int, int]]
) -> None:
    stepper, extra = (
        RecurrentStepper(seed, attention=attention),
        2 if ratio < 1 else 6,
    )  # short limits leave gaps in the numbering
    config = settings_of(1, beta=beta, ratio=ratio, extra=extra)
    beam_search, found, asked = (
        BeamSearch(stepper, config),
        dict[int, list[Hypothesis]](),
        dict[int, tuple[Any, int, int]](),
    )
    for sources, beam, steps in groups:
        n_best = (beam + 1) // 2
        numbers = beam_search.add(*padded(sources, width=10), n_best=n_best, beam=beam)
        asked |= {number: (source, beam, n_best) for number, source in zip(numbers, sources, strict=True)}
        for _ in range(steps):
            if beam_search.running:
                beam_search.step()
        if steps % 2:
            found |= collected_once(beam_search, found)
    while beam_search.running:
        beam_search.step()
    found |= collected_once(beam_search, found)
    assert found.keys() == asked.keys()
    for number, (source, beam, n_best) in asked.items():
        alone = search(stepper, *padded([source]), config.model_copy(update={"beam": beam}), n_best)
        for one, other in zip(found[number], alone[0], strict=True):
            assert_same(one, other)


def test_a_search_that_never_ends_keeps_only_the_steps_of_running_sentences() -> None:
    beam_search = BeamSearch(RecurrentStepper(0), settings_of(3))
    for _ in range(40):
        beam_search.add(*padded([SOURCES[0]]))
        beam_search.step()
        beam_search.collect()
    assert len(beam_search._tree._steps) <= settings_of(3).max_length_extra + len(SOURCES[0])
    assert len(beam_search._sentences.free_slots) <= settings_of(3).max_length_extra + len(SOURCES[0])


@pytest.mark.parametrize("alpha", ALPHAS)
@given(seed=st.integers(0, 10_000), attention=st.booleans(), most=st.sampled_from([1, 2, None]))
@settings(max_examples=25)
def test_a_beam_of_one_is_greedy_for_every_length_penalty(
    alpha: float, seed: int, attention: bool, most: int | None
) -> None:
    stepper, config = RecurrentStepper(seed, attention=attention), settings_of(1, alpha, beta=0.2, most=most)
    sources = [[6, 7, 8], [9], [10, 11, 12, 13, 14]]
    for source, (found,) in zip(sources, search(stepper, *padded(sources), config), strict=True):
        ids = greedy(stepper, source, len(source) + 6, most)
        assert found.ids == ids
        assert found.finished == (len(ids) < len(source) + 6)
        if found.finished:
            (forced,) = forced_decoding(stepper, *padded([source]), [ids], config)
            assert_same(found, forced)


def greedy(stepper: RecurrentStepper, source: list[int], limit: int, most: int | None) -> tuple[int, ...]:
    """Returns the most probable piece of each step that repeats nothing too often, until EOS or the limit."""
    state, ids, piece = stepper.start(*padded([source])), tuple[int, ...](), 1
    while len(ids) < limit:
        logits, state, _ = stepper.logits(state, np.array([piece]))
        best = sorted([EOS, *WORDS], key=lambda piece: -float(logits[0, piece]))
        piece = next(piece for piece in best if piece == EOS or not repeats_too_often((*ids, piece), most))
        if piece == EOS:
            break
        ids = (*ids, piece)
    return ids


def repeats_too_often(ids: tuple[int, ...], most: int | None) -> bool:
    """Returns whether a group occurs more than `most` times in a row, or a single piece more than `most` + 1 times."""
    groups = itertools.combinations(range(len(ids) + 1), 2) if most else ()
    for begin, end in groups:
        times = (most or 0) + (end - begin == 1) + 1
        if ids[begin : begin + times * (end - begin)] == times * ids[begin:end]:
            return True
    return False


def brute_force(
    stepper: RecurrentStepper, source: list[int], alpha: float, beta: float, limit: int, most: int | None
) -> dict[Any, float]:
    """Returns the score of every translation of at most `limit` pieces, with EOS, from the formulas."""
    scores = {}
    for length in range(limit):
        for words in itertools.product(WORDS, repeat=length):
            if repeats_too_often(words, most):
                continue
            state, previous, total = stepper.start(*padded([source])), 1, 0.0
            attended = [0.0] * len(source)
            for piece in (*words, EOS):
                logits, state, weights = stepper.logits(state, np.array([previous]))
                log_probs = log_softmax(logits)
                total, previous = total + float(log_probs[0, piece]), piece
                if weights is not None:
                    attended = [a + w for a, w in zip(attended, weights[0].tolist(), strict=True)]
            coverage = beta * sum(math.log(min(a, 1.0)) for a in attended) if stepper.attention else 0.0
            scores[words] = total / ((5 + length + 1) ** alpha / 6**alpha) + coverage
    return scores


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("beta", [0.0, 0.4])
@pytest.mark.parametrize(("seed", "most"), [(0, None), (1, 1), (2, 2)])
def test_a_beam_of_full_width_finds_the_results_of_brute_force(
    alpha: float, beta: float, seed: int, most: int | None
) -> None:
    stepper = RecurrentStepper(seed, sharpness=1.0)
    sources, limit = [[6, 7, 8], [9, 12]], 4
    config = settings_of(200, alpha, beta, ratio=0.0, extra=limit, most=most)
    all_found = search(stepper, *padded(sources), config, n_best=200)
    best_found = search(stepper, *padded(sources), config, n_best=1)
    for source, found, best in zip(sources, all_found, best_found, strict=True):
        scores = brute_force(stepper, source, alpha, beta, limit, most)
        finished = [hypothesis for hypothesis in found if hypothesis.finished]
        assert {hypothesis.ids: hypothesis.score for hypothesis in finished} == pytest.approx(scores, abs=1e-12)
        cut = [ids for ids in itertools.product(WORDS, repeat=limit) if not repeats_too_often(ids, most)]
        assert sorted(hypothesis.ids for hypothesis in found if not hypothesis.finished) == cut
        assert best[0].ids == max(scores, key=lambda ids: scores[ids])


@pytest.mark.slow
@given(
    seed=st.integers(0, 10_000), beam=st.integers(1, 12), alpha=st.sampled_from(ALPHAS), beta=st.sampled_from([0, 0.5])
)
@settings(max_examples=30)
def test_stopping_early_never_loses_a_hypothesis(seed: int, beam: int, alpha: float, beta: float) -> None:
    stepper, config = RecurrentStepper(seed, sharpness=1.5), settings_of(beam, alpha, beta, extra=9)
    batch = padded([[6, 7, 8], [9]])
    every = search(stepper, *batch, config, n_best=beam)  # with n_best = beam no sentence stops early
    for n_best in range(1, beam + 1):
        for few, many in zip(search(stepper, *batch, config, n_best), every, strict=True):
            assert [hypothesis.ids for hypothesis in few] == [hypothesis.ids for hypothesis in many[:n_best]]


def test_each_sentence_has_its_own_n_best() -> None:
    stepper, config = RecurrentStepper(1, sharpness=1.5), settings_of(4)
    sources = [[6, 7, 8], [9], [7, 7]]
    counts = [1, 4, 2]
    found = search(stepper, *padded(sources), config, n_best=counts)
    assert [len(hypotheses) for hypotheses in found] == counts
    for source, count, hypotheses in zip(sources, counts, found, strict=True):
        (alone,) = search(stepper, *padded([source]), config, n_best=count)
        for one, batched in zip(alone, hypotheses, strict=True):
            assert_same(one, batched)
    with pytest.raises(UsageError, match="n-best: 5"):
        search(stepper, *padded(sources), config, n_best=[1, 5, 1])


def test_a_sentence_leaves_the_batch_when_its_n_best_cannot_change() -> None:
    stepper = RecurrentStepper(3)
    batch = padded([[6, 7, 8]])
    search(stepper, *batch, settings_of(8, extra=60), n_best=8)
    thorough, stepper.calls = stepper.calls, []
    search(stepper, *batch, settings_of(8, extra=60), n_best=1)
    assert sum(stepper.calls) < sum(thorough)
    assert all(later <= 8 for later in thorough)


def test_finished_hypotheses_are_not_computed_further() -> None:
    table = np.full((VOCABULARY, VOCABULARY), 1e-9)
    table[1, [4, 5, EOS]] = [0.4, 0.3, 0.3]
    table[[4, 5], EOS] = 1.0
    stepper = CountingTable(table)
    search(stepper, *padded([[6]]), settings_of(3), n_best=3)
    assert stepper.calls == [1, 2]


class CountingTable(TableStepper):
    def __init__(self, table: Floats) -> None:
        super().__init__(table)
        self.calls: list[int] = []

    def logits(self, state: int, previous: Ints) -> tuple[Floats, int, Weights | None]:
        self.calls.append(len(previous))
        return super().logits(state, previous)


@given(
    seed=st.integers(0, 10_000), beam=st.integers(2, 15), alpha=st.sampled_from(ALPHAS), beta=st.sampled_from([0, 0.5])
)
@settings(max_examples=30)
def test_n_best_is_sorted_distinct_and_scored_as_forced_decoding_scores_it(
    seed: int, beam: int, alpha: float, beta: float
) -> None:
    stepper, config = RecurrentStepper(seed, sharpness=1.0), settings_of(beam, alpha, beta, extra=3)
    sources = [[6, 7, 8], [9], [11, 12, 13, 14]]
    for source, found in zip(sources, search(stepper, *padded(sources), config, n_best=beam), strict=True):
        assert len(found) == beam
        assert len({(hypothesis.ids, hypothesis.finished) for hypothesis in found}) == beam
        ranks = [(not hypothesis.finished, -hypothesis.score) for hypothesis in found]
        assert ranks == sorted(ranks)
        finished = [hypothesis for hypothesis in found if hypothesis.finished]
        batch = padded([source] * len(finished)) if finished else padded([source])
        forced = (
            forced_decoding(stepper, *batch, [hypothesis.ids for hypothesis in finished], config) if finished else []
        )
        for one, other in zip(finished, forced, strict=True):
            assert one.score == pytest.approx(other.score, abs=1e-9)
            assert_same(one, other)


@pytest.mark.parametrize("beam", [1, 3])
def test_hypotheses_without_eos_are_cut_at_the_maximum_length(beam: int) -> None:
    table = np.zeros((VOCABULARY, VOCABULARY))
    table[:, 4], table[:, 5] = 0.75, 0.25  # EOS has probability 0
    config = settings_of(beam, ratio=1.5, extra=2)
    found = search(TableStepper(table), *padded([[6, 7, 8], [9]]), config, n_best=beam)
    assert [len(hypothesis.ids) for hypotheses in found for hypothesis in hypotheses] == [6] * beam + [3] * beam
    assert not any(hypothesis.finished for hypotheses in found for hypothesis in hypotheses)
    assert len(found[0][0].token_log_probs) == 6
    looping = settings_of(beam, ratio=1.5, extra=2, most=None)
    assert search(TableStepper(table), *padded([[6, 7, 8]]), looping)[0][0].ids == (4,) * 6


def test_cut_hypotheses_are_ranked_after_all_finished_ones() -> None:
    table = np.full((VOCABULARY, VOCABULARY), 1e-12)
    table[1, 4], table[1, EOS] = 0.999, 0.001
    table[4, 4] = 1.0
    finished, cut = search(TableStepper(table), *padded([[6]]), settings_of(2, most=None), n_best=2)[0]
    assert finished.finished
    assert not cut.finished
    assert cut.score > finished.score


@pytest.mark.parametrize("beam", [1, 4])
def test_pad_bos_and_unk_are_never_produced(beam: int) -> None:
    table = np.full((VOCABULARY, VOCABULARY), 0.02)
    table[:, [0, 1, 3]] = 0.3
    for hypotheses in search(TableStepper(table), *padded([[6, 7, 8], [9]]), settings_of(beam), n_best=beam):
        assert not {0, 1, 2, 3} & {piece for hypothesis in hypotheses for piece in hypothesis.ids}


@pytest.mark.parametrize("beam", [1, 2, 3, 6])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ties_are_broken_the_same_way_in_any_batch(beam: int, dtype: type[np.floating[Any]]) -> None:
    vocabulary = 50
    table = np.full((vocabulary, vocabulary), 1 / vocabulary, dtype)
    alone = search(TableStepper(table), *padded([[6]]), settings_of(beam, extra=3), n_best=beam)
    for size in (2, 9, 40):
        assert (
            search(TableStepper(table), *padded([[6]] * size), settings_of(beam, extra=3), n_best=beam) == alone * size
        )
    if beam == 6:
        assert [hypothesis.ids for hypothesis in alone[0][:1]] == [()]


def test_n_best_above_the_beam_is_refused_with_both_numbers() -> None:
    with pytest.raises(
        UsageError, match=r"n-best: 6 translations were requested, but search.beam keeps 5; set it to 6"
    ):
        search(RecurrentStepper(0), *padded([[6]]), settings_of(5), n_best=6)


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("value", [0.0, math.nan])
def test_a_damaged_model_raises_an_error(beam: int, value: float) -> None:
    table = np.full((VOCABULARY, VOCABULARY), value)
    with pytest.raises(ModelError, match="weights are damaged"):
        search(TableStepper(table), *padded([[6], [7]]), settings_of(beam))


def test_weights_have_a_row_for_each_piece_and_eos_and_a_column_for_each_source_piece() -> None:
    for source, (hypothesis,) in zip(
        SOURCES, search(RecurrentStepper(2), *padded(SOURCES), settings_of(3)), strict=True
    ):
        assert hypothesis.weights is not None
        assert hypothesis.weights.shape == (len(hypothesis.token_log_probs), len(source))
        np.testing.assert_allclose(hypothesis.weights.sum(1), 1, atol=1e-12)
        assert len(hypothesis.token_log_probs) == len(hypothesis.ids) + hypothesis.finished
        assert hypothesis.log_prob == pytest.approx(sum(hypothesis.token_log_probs))


def test_the_coverage_penalty_prefers_translations_that_attend_to_the_whole_source() -> None:
    stepper = RecurrentStepper(1, sharpness=1.0)
    batch = padded([[6, 7, 8, 9]])

    def least_covered(beta: float) -> float:
        weights = search(stepper, *batch, settings_of(50, beta=beta))[0][0].weights
        assert weights is not None
        return float(np.log(weights.sum(0).clip(max=1)).sum())

    assert least_covered(5.0) > least_covered(0.0)


def test_no_sentences_give_no_translations() -> None:
    nothing = np.zeros((0, 3), np.int64)
    stepper: Stepper[Any] = RecurrentStepper(0)
    assert search(stepper, nothing, nothing.astype(bool), settings_of(3)) == []
    assert search(stepper, nothing, nothing.astype(bool), settings_of(1)) == []
