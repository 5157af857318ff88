"""Properties of individual score functions."""

import pytest
import torch
from model_examples import PAD, SCORES, sentences, tiny_config, tiny_model
from torch import Tensor

from kotrans.errors import ModelError
from kotrans.model.attention import (
    AdditiveAttention,
    Attention,
    CosineAttention,
    DotAttention,
    GeneralAttention,
    LocationAttention,
)


def random(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.double)


def test_a_source_longer_than_the_positions_of_location_is_refused_with_both_numbers() -> None:
    model = tiny_model(tiny_config("location"))  # seven positions
    fits, too_long = (torch.full((1, length), 5) for length in (7, 8))
    model.start(fits, fits != PAD)
    with pytest.raises(ModelError) as error:
        model.start(too_long, too_long != PAD)
    assert str(error.value) == (
        "a source has 8 pieces, but attention.score `location` was built for attention.max_source_length 7; "
        "shorten the source or train with a larger limit"
    )


def test_location_weights_do_not_depend_on_the_memory() -> None:
    attention = LocationAttention(4, 7).double()
    query, mask = random(2, 3, 4), torch.ones(2, 5, dtype=torch.bool)
    weights = [
        attention(query, attention.keys(memory), memory, mask)[1] for memory in (random(2, 5, 3), random(2, 5, 3))
    ]
    assert torch.equal(*weights)


@pytest.mark.parametrize(
    "attention",
    [
        AdditiveAttention(4, 4, 5),
        CosineAttention(4, 4, learned_beta=True),
        CosineAttention(4, 4, learned_beta=False),
        GeneralAttention(4, 4, scale=False),
        DotAttention(4, scale=False),
    ],
    ids=["additive", "cosine", "cosine with beta 1", "general", "dot"],
)
def test_permuting_the_memory_permutes_the_scores(attention: Attention) -> None:
    attention.double()
    query, memory, order = random(2, 3, 4), random(2, 5, 4), torch.tensor([3, 0, 4, 1, 2])
    scores = attention.scores(query, attention.keys(memory))
    moved = attention.scores(query, attention.keys(memory[:, order]))
    torch.testing.assert_close(moved, scores[..., order], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("memory_size", [4, 6])
def test_cosine_ignores_lengths_and_is_bounded_by_beta(memory_size: int) -> None:
    attention = CosineAttention(memory_size, 4, learned_beta=True).double()
    query, memory = random(2, 3, 4), random(2, 5, memory_size)
    scores = attention.scores(query, attention.keys(memory))
    louder = attention.scores(7 * query, attention.keys(3 * memory))
    torch.testing.assert_close(louder, scores, rtol=1e-12, atol=1e-12)
    assert attention.log_beta is not None
    assert scores.abs().max() <= attention.log_beta.exp()
    with torch.no_grad():
        attention.log_beta.fill_(-50.0)  # beta is positive for every log_beta
    assert (attention.scores(query, attention.keys(memory)) * scores).min() > 0


def test_cosine_of_a_zero_vector_is_zero_with_a_bounded_gradient() -> None:
    attention = CosineAttention(4, 4, learned_beta=False).double()
    nothing = torch.zeros(2, 4, dtype=torch.double)
    for query, memory in ((random(2, 4), nothing), (nothing, random(2, 4))):
        query, memory = (vectors.clone().requires_grad_() for vectors in (query, memory))
        scores = attention.scores(query.unsqueeze(1), attention.keys(memory.unsqueeze(1)))
        scores.sum().backward()
        assert scores.abs().sum() == 0
        for vectors in (query, memory):
            assert vectors.grad is not None
            assert vectors.grad.norm(dim=-1).max() <= 1001


@pytest.mark.parametrize("kind", ["dot", "general"])
def test_scale_divides_by_the_square_root_of_the_width(kind: str) -> None:
    plain, scaled = (
        DotAttention(4, scale=scale) if kind == "dot" else GeneralAttention(6, 4, scale=scale)
        for scale in (False, True)
    )
    scaled.load_state_dict(plain.state_dict())
    query, memory = torch.randn(2, 3, 4), torch.randn(2, 5, 4 if kind == "dot" else 6)
    halves = [attention.scores(query, attention.keys(memory)) for attention in (scaled, plain)]
    torch.testing.assert_close(halves[0] * 2, halves[1])


@pytest.mark.parametrize("bidirectional", [False, True])
def test_without_attention_every_step_reads_the_same_context(bidirectional: bool) -> None:
    model, batch = tiny_model(tiny_config("none", encoder={"bidirectional": bidirectional})), sentences()
    seen: list[Tensor] = []
    model.decoder.deep_output.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    _, weights = model(batch.source, batch.mask, batch.inputs)
    memory_size = 6 if bidirectional else 3
    contexts = seen[0][..., -memory_size:]
    assert torch.equal(contexts, contexts[:, :1].expand_as(contexts))
    assert not torch.allclose(contexts[0], contexts[1])
    assert weights is None


@pytest.mark.parametrize("score", [score for score in SCORES if score != "none"])
def test_with_attention_the_context_changes_from_step_to_step(score: str) -> None:
    model, batch = tiny_model(tiny_config(score)), sentences()
    _, weights = model(batch.source, batch.mask, batch.inputs)
    assert weights is not None
    assert not torch.allclose(weights[0, 0], weights[0, 1])
