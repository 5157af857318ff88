"""The incremental decoder, with rows dropped, repeated and joined, computes what teacher forcing computes."""

import pytest
import torch
from model_examples import CELLS, ENCODERS, SCORES, TARGET_SIZE, Sentences, sentences, tiny_config, tiny_model
from torch import Tensor, nn

from kotrans.model.attention import AdditiveAttention
from kotrans.model.incremental.incremental_decoder import IncrementalDecoder, SearchState

pytestmark = pytest.mark.slow


def assert_close(ours: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)


def force(model: IncrementalDecoder, state: SearchState, inputs: Tensor) -> tuple[SearchState, Tensor, Tensor | None]:
    """Steps through inputs (N, T); returns the last state, log-probabilities (N, T, V) and weights (N, T, S)."""
    log_probs, weights = [], []
    for previous in inputs.unbind(1):
        logits, state, weight = model.step(state, previous)
        log_probs.append(logits.log_softmax(-1))
        if weight is not None:
            weights.append(weight)
    return state, torch.stack(log_probs, dim=1), torch.stack(weights, dim=1) if weights else None


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("score", SCORES)
def test_steps_have_the_results_of_teacher_forcing_for_every_score_and_cell(score: str, cell: str, layers: int) -> None:
    model, batch = tiny_model(tiny_config(score, decoder={"cell": cell, "layers": layers})), sentences()
    logits, weights = model(batch.source, batch.mask, batch.inputs)
    stepper = IncrementalDecoder(model)
    _, log_probs, step_weights = force(stepper, stepper.start(batch.source, batch.mask), batch.inputs)
    assert_close(log_probs, logits.log_softmax(-1))
    assert_close(log_probs.exp().sum(-1), torch.ones(batch.inputs.shape, dtype=torch.double))
    assert (step_weights is None) == (weights is None) == (score == "none")
    if weights is not None and step_weights is not None:
        assert_close(step_weights, weights)


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize(("cell", "bidirectional"), ENCODERS)
def test_steps_have_the_results_of_teacher_forcing_for_every_encoder(
    cell: str, bidirectional: bool, layer_norm: bool
) -> None:
    sections = {"encoder": {"cell": cell, "bidirectional": bidirectional}, "decoder": {"layers": 2, "cell": cell}}
    model = tiny_model(
        tiny_config("additive", **{name: {**section, "layer_norm": layer_norm} for name, section in sections.items()})
    )
    batch = sentences()
    logits, _ = model(batch.source, batch.mask, batch.inputs)
    stepper = IncrementalDecoder(model)
    _, log_probs, _ = force(stepper, stepper.start(batch.source, batch.mask), batch.inputs)
    assert_close(log_probs, logits.log_softmax(-1))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("score", SCORES)
def test_selected_rows_continue_as_if_alone(score: str, cell: str) -> None:
    model = IncrementalDecoder(tiny_model(tiny_config(score, decoder={"cell": cell, "layers": 2})))
    batch = sentences()
    state, _, _ = force(model, model.start(batch.source, batch.mask), batch.inputs[:, :2])
    rows = torch.tensor([3, 0, 0, 2])  # reordered, repeated, one dropped
    further = torch.randint(TARGET_SIZE, (4, 2))
    _, log_probs, weights = force(model, model.select(state, rows), further)
    for place, row in enumerate(rows.tolist()):
        length = int(batch.mask[row].sum())
        alone = model.start(batch.source[row : row + 1, :length], batch.mask[row : row + 1, :length])
        history = torch.cat([batch.inputs[row, :2], further[place]]).unsqueeze(0)
        _, expected, expected_weights = force(model, alone, history)
        assert_close(log_probs[place], expected[0, 2:])
        if weights is not None and expected_weights is not None:
            assert_close(weights[place, :, :length], expected_weights[0, 2:])
            assert weights[place, :, length:].abs().sum() == 0


def test_a_step_does_not_modify_the_previous_state() -> None:
    model, batch = IncrementalDecoder(tiny_model(tiny_config(decoder={"layers": 2}))), sentences()
    state = model.start(batch.source, batch.mask)
    first, _, _ = model.step(state, batch.inputs[:, 0])
    again, _, _ = model.step(state, batch.inputs[:, 0])
    assert torch.equal(first, again)


@pytest.mark.parametrize("score", ["additive", "general", "cosine"])
def test_attention_keys_are_computed_once_per_sentence(score: str) -> None:
    model, batch = tiny_model(tiny_config(score)), sentences()
    attention = model.decoder.attention
    assert attention is not None
    calls: list[int] = []
    key = attention.get_submodule("key")
    key.register_forward_hook(lambda module, inputs, output: calls.append(1))
    assert isinstance(key, nn.Linear)
    stepper = IncrementalDecoder(model)
    force(stepper, stepper.start(batch.source, batch.mask), batch.inputs)
    assert len(calls) == 1
    model(batch.source, batch.mask, batch.inputs)
    assert len(calls) == 2


def assert_as_if_alone(
    model: IncrementalDecoder, batch: Sentences, owners: list[int], pieces: list[list[int]],
    logits: torch.Tensor, weights: torch.Tensor | None,
) -> None:  # fmt: skip
    """Compares logits and weights of each row with those of its sentence and pieces alone; other weights are 0."""
    for row, (owner, history) in enumerate(zip(owners, pieces, strict=True)):
        alone = model.start(batch.source[owner : owner + 1], batch.mask[owner : owner + 1])
        _, expected, expected_weights = force(model, alone, torch.tensor([history]))
        assert_close(logits[row].log_softmax(-1), expected[0, -1])
        if weights is not None and expected_weights is not None:
            both = min(weights.size(1), expected_weights.size(-1))
            assert_close(weights[row, :both], expected_weights[0, -1, :both])
            assert not weights[row, both:].any()
            assert not expected_weights[0, -1, both:].any()


@pytest.mark.parametrize("score", SCORES)
def test_hypotheses_in_any_number_and_order_continue_as_if_alone(score: str) -> None:
    model, batch = IncrementalDecoder(tiny_model(tiny_config(score))), sentences()
    state = model.start(batch.source, batch.mask)
    owners = list(range(len(batch.source)))
    pieces = [[piece] for piece in batch.inputs[:, 0].tolist()]
    random = torch.Generator().manual_seed(1)
    for rows in ([0, 0, 0, 1, 2, 2, 3], [0, 1, 2, 3, 4, 6], [5, 0, 2, 0], [1, 1, 0], [2, 1, 0]):
        _, state, _ = model.step(state, torch.tensor([history[-1] for history in pieces]))
        state = model.select(state, torch.tensor(rows))
        owners, pieces = [owners[row] for row in rows], [pieces[row] for row in rows]
        further = torch.randint(TARGET_SIZE, (len(rows),), generator=random).tolist()
        pieces = [[*history, piece] for history, piece in zip(pieces, further, strict=True)]
    logits, _, weights = model.step(state, torch.tensor([history[-1] for history in pieces]))
    assert_as_if_alone(model, batch, owners, pieces, logits, weights)


@pytest.mark.parametrize("group", [1, 2, 8])
@pytest.mark.parametrize("score", SCORES)
def test_sentences_that_join_and_those_before_are_computed_as_if_alone(score: str, group: int) -> None:
    model = IncrementalDecoder(tiny_model(tiny_config(score)), group_size=group)
    batch = sentences((2, 5, 3, 4, 1, 5), (3, 4, 2, 4, 3, 4))
    longest = batch.mask.sum(1).argsort(descending=True)
    owners, pieces, state = list[int](), list[list[int]](), None
    for joins, rows in (([0, 3], [0, 0, 1]), ([1, 2], [0, 0, 1, 2, 3, 4]), ([4, 5], [5, 6, 7, 7]), ([0], [0, 3, 4])):
        width = int(batch.mask[longest[joins]].sum(1).max())  # a group is as wide as its longest sentence
        started = model.start(batch.source[longest[joins], :width], batch.mask[longest[joins], :width])
        state = started if state is None else model.join(state, started)
        owners += [int(longest[row]) for row in joins]
        pieces += [[int(batch.inputs[longest[row], 0])] for row in joins]
        logits, state, weights = model.step(state, torch.tensor([history[-1] for history in pieces]))
        assert_as_if_alone(model, batch, owners, pieces, logits, weights)
        state = model.select(state, torch.tensor(rows))
        owners, pieces = [owners[row] for row in rows], [[*pieces[row], 4 + row % 3] for row in rows]


def test_sentences_that_join_are_grouped_by_length() -> None:
    model = IncrementalDecoder(tiny_model(tiny_config()))
    source = torch.full((12, 9), 6)
    mask = torch.arange(9) < torch.tensor([9, 1] * 6).unsqueeze(1)
    state = model.join(model.start(source, mask), model.start(source[:4], mask[:4]))
    assert [tuple(group.mask.shape) for group in state.sources.groups] == [(8, 9), (8, 1)]


def test_encoder_outputs_are_stored_once_per_sentence_and_removed_with_its_last_hypothesis() -> None:
    model = IncrementalDecoder(tiny_model(tiny_config()))
    source = torch.full((8, 5), 6)
    state = model.start(source, source > 0)
    memory = state.sources.groups[0].memory
    many = model.select(state, torch.arange(8).repeat_interleave(30))
    assert many.sources.groups[0].memory is memory  # not copied for 240 hypotheses
    seven = model.select(many, torch.arange(30, 240))
    assert seven.sources.groups[0].memory is memory  # nor when one sentence has no more hypotheses
    six = model.select(seven, torch.arange(30, 210))
    assert six.sources.groups[0].memory is not None
    assert len(six.sources.groups[0].memory) == 6
    assert len(six.decoder.layers[0].hidden) == 6  # hypotheses of a parent share its state
    assert six.parents is not None
    assert len(six.parents) == 180


def test_scores_computed_in_blocks_are_those_of_the_whole_batch() -> None:
    attention = AdditiveAttention(memory_size=6, query_size=5, size=4).double()
    query, memory = (torch.randn(5, rows, size).double() for rows, size in ((3, 5), (4, 6)))
    whole = attention.scores(query, attention.keys(memory))
    for block in (1, 150, 10**6):
        attention.block = block
        with torch.no_grad():
            assert_close(attention.scores(query, attention.keys(memory)), whole)


def test_only_the_weights_of_the_steps_are_copied_and_the_model_stays_as_it_was() -> None:
    model = tiny_model(tiny_config(decoder={"layers": 2})).float()
    before = {name: (weight.data_ptr(), weight.stride()) for name, weight in model.named_parameters()}
    copied = IncrementalDecoder(model)._model
    shared = {name for name, weight in copied.named_parameters() if weight.data_ptr() == before[name][0]}
    assert before.keys() - shared == {f"decoder.attention.{name}.weight" for name in ("query", "key")}
    assert {name: (weight.data_ptr(), weight.stride()) for name, weight in model.named_parameters()} == before
