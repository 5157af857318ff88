"""Constraints of a search: terms that a translation must contain, and what it must begin with."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kotrans.search.beam import BeamSearch, search
from kotrans.search.constraints import FREE, Constraints, Progress
from kotrans.search.greedy import forced_decoding
from kotrans.search.hypotheses import Hypothesis
from tests.search.small_models import VOCABULARY, RecurrentStepper, TableStepper, padded
from tests.search.test_beam import EOS, SOURCES, WORDS, assert_same, settings_of

Form = st.lists(st.sampled_from(WORDS), min_size=1, max_size=2).map(tuple)
Terms = st.lists(Form, max_size=2).map(tuple)


def of_terms(*terms: tuple[int, ...], prefix: tuple[int, ...] = ()) -> Constraints:
    """Constraints of terms with one form each."""
    return Constraints(prefix, tuple((term,) for term in terms))


def meets(ids: tuple[int, ...], constraints: Constraints) -> bool:
    """Whether ids begin with the prefix and have all terms, where terms do not share pieces."""
    if ids[: len(constraints.prefix)] != constraints.prefix:
        return False
    return any(has_apart(ids, chosen) for chosen in itertools.product(*constraints.terms))


def has_apart(ids: tuple[int, ...], terms: tuple[tuple[int, ...], ...]) -> bool:
    if not terms:
        return True
    first, *rest = terms
    places = (i for i in range(len(ids) - len(first) + 1) if ids[i : i + len(first)] == first)
    return any(has_apart((*ids[:i], -1, *ids[i + len(first) :]), tuple(rest)) for i in places)


@pytest.mark.parametrize("beam", [1, 2, 5])
@given(seed=st.integers(0, 1000), prefix=st.lists(st.sampled_from(WORDS), max_size=2).map(tuple), terms=Terms)
@settings(max_examples=40, deadline=None)
def test_a_finished_translation_meets_its_constraints(
    beam: int, seed: int, prefix: tuple[int, ...], terms: tuple[tuple[int, ...], ...]
) -> None:
    constraints = of_terms(*terms, prefix=prefix)
    config = settings_of(beam, ratio=2.0, extra=10, most=None)
    found = search(RecurrentStepper(seed), *padded(SOURCES[:3]), config, constraints=[constraints] * 3)
    for (hypothesis,) in found:
        assert hypothesis.ids[: len(prefix)] == prefix
        assert not hypothesis.finished or meets(hypothesis.ids, constraints)


@given(
    seed=st.integers(0, 1000), prefix=st.lists(st.sampled_from(WORDS), max_size=1).map(tuple),
    forms=st.sampled_from([(), ((4,),), ((5,),), ((4, 6),), ((5, 5),), ((4,), (6, 5)), ((4,), (4, 6))]),
)  # fmt: skip
@settings(max_examples=25, deadline=None)
def test_a_full_beam_finds_the_best_translation_that_meets_the_constraints(
    seed: int, prefix: tuple[int, ...], forms: tuple[tuple[int, ...], ...]
) -> None:
    stepper, constraints, longest = RecurrentStepper(seed), Constraints(prefix, (forms,) if forms else ()), 4
    config = settings_of(600, alpha=0.0, ratio=0.0, extra=longest, most=None)
    ((found,),) = search(stepper, *padded(SOURCES[:1]), config, constraints=[constraints])
    candidates = [
        ids for length in range(longest) for ids in itertools.product(WORDS, repeat=length) if meets(ids, constraints)
    ]
    scored = forced_decoding(stepper, *padded(SOURCES[:1] * len(candidates)), candidates, config)
    best = max(scored, key=lambda each: each.score)
    assert found.finished
    assert found.score == pytest.approx(best.score, abs=1e-12)


def test_the_score_of_a_constrained_translation_is_that_of_scoring_it() -> None:
    stepper, config = RecurrentStepper(3), settings_of(5, ratio=2.0, extra=10)
    constraints = [of_terms((5, 6), prefix=(4,)), of_terms((6, 6), (4,))]
    found = search(stepper, *padded(SOURCES[:2]), config, constraints=constraints)
    scored = forced_decoding(stepper, *padded(SOURCES[:2]), [each[0].ids for each in found], config)
    for (hypothesis,), again, own in zip(found, scored, constraints, strict=True):
        assert meets(hypothesis.ids, own)
        length = len(hypothesis.ids)
        assert hypothesis.token_log_probs[:length] == pytest.approx(again.token_log_probs[:length], abs=1e-12)
        if hypothesis.finished:
            assert_same(hypothesis, again)


@pytest.mark.parametrize("beam", [1, 4])
def test_sentences_without_constraints_are_translated_as_without_their_neighbours(beam: int) -> None:
    stepper, config = RecurrentStepper(2), settings_of(beam, ratio=2.0)
    constraints = [FREE if number % 2 else of_terms((5, 6), prefix=(4,)) for number in range(len(SOURCES))]
    together = search(stepper, *padded(SOURCES), config, constraints=constraints)
    for source, own, batched in zip(SOURCES, constraints, together, strict=True):
        alone = search(stepper, *padded([source]), config, constraints=[own])[0]
        assert_same(alone[0], batched[0])
        if own == FREE:
            assert_same(search(stepper, *padded([source]), config)[0][0], batched[0])


def test_constrained_sentences_may_join_a_running_search() -> None:
    stepper, config = RecurrentStepper(4), settings_of(4, ratio=2.0)
    constraints = of_terms((4, 4), prefix=(5,))
    alone = search(stepper, *padded([SOURCES[2]]), config, constraints=[constraints])[0]
    beam = BeamSearch(stepper, config)
    beam.add(*padded([SOURCES[0]]))
    beam.step()
    beam.add(*padded([SOURCES[2]]), beam=constraints.beam(4), constraints=[constraints])
    found: dict[int, list[Hypothesis]] = {}
    while beam.running:
        beam.step()
        found |= beam.collect()
    assert_same(found[1][0], alone[0])
    assert_same(found[0][0], search(stepper, *padded([SOURCES[0]]), config)[0][0])


def test_a_prefix_alone_does_not_widen_the_beam_and_is_greedy_after_it() -> None:
    stepper, config = RecurrentStepper(9), settings_of(1, ratio=2.0, most=None)
    ((plain,),) = search(stepper, *padded(SOURCES[:1]), config)
    prefix = plain.ids[:2]
    assert len(prefix) == 2
    assert Constraints(prefix).beam(1) == 1
    ((found,),) = search(stepper, *padded(SOURCES[:1]), config, constraints=[Constraints(prefix)])
    assert_same(found, plain)


def test_a_term_that_the_best_translation_has_anyway_does_not_lower_its_score() -> None:
    stepper, config = RecurrentStepper(0), settings_of(30, ratio=2.0)
    ((plain,),) = search(stepper, *padded(SOURCES[:1]), config)
    term = plain.ids[1:2]
    assert term
    ((found,),) = search(stepper, *padded(SOURCES[:1]), config, constraints=[of_terms(term)])
    assert found.score >= plain.score - 1e-12


@given(st.lists(st.sampled_from(range(4, VOCABULARY)), max_size=12), Terms)
def test_progress_counts_the_terms_that_a_sequence_has(ids: list[int], terms: tuple[tuple[int, ...], ...]) -> None:
    progress = Progress(of_terms(*terms))
    for piece in ids:
        progress = progress.after(piece)
        assert 0 <= progress.pieces <= sum(map(len, terms))
    if progress.complete:
        assert has_apart(tuple(ids), terms)
    assert (progress.wanted() == [EOS]) == progress.complete
    assert any(map(progress.permits, progress.wanted()))


def test_a_form_that_begins_another_may_go_on_to_it_but_to_no_other_inner_piece() -> None:
    progress = Progress(Constraints((), (((4,), (4, 5)),), frozenset({5, 6}))).after(4)
    assert progress.complete
    assert progress.permits(5)
    assert not progress.permits(6)
    assert progress.permits(4)
    assert not progress.after(5).permits(5)
    assert Progress(FREE._replace(inner=frozenset({5}))).permits(5)


def test_a_search_goes_on_if_every_probable_piece_would_continue_the_word_of_a_term() -> None:
    table = np.tile([0, 0, 0.002, 0, 0.002, 0.5, 0.496], (VOCABULARY, 1))
    constraints = [Constraints((4,), (((4,),),), frozenset({5, 6}))]
    ((found,),) = search(TableStepper(table), *padded(SOURCES[:1]), settings_of(1), constraints=constraints)
    assert found.finished
    assert found.ids == (4,)


def test_a_word_does_not_go_on_after_a_term() -> None:
    stepper, config = RecurrentStepper(0), settings_of(5, ratio=2.0)
    inner = frozenset({5, 6})
    ((found,),) = search(stepper, *padded(SOURCES[:1]), config, constraints=[Constraints((), (((4,),),), inner)])
    place = found.ids.index(4)
    assert found.ids[place + 1 : place + 2] not in [(5,), (6,)]
