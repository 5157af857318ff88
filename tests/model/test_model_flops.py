"""The formula for the number of operations agrees with the counter of PyTorch."""

from collections.abc import Mapping

import pytest
import torch
from model_examples import PAD, SCORES, SOURCE_SIZE, TARGET_SIZE, Sentences, sentences, tiny_config, tiny_model
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from kotrans.model.build import build_model
from kotrans.model.flops import flop_rates
from kotrans.model.seq2seq import Seq2Seq

pytestmark = pytest.mark.slow

MODELS: list[tuple[str, dict[str, Mapping[str, object]]]] = [
    *((score, {}) for score in SCORES),
    ("additive", {"encoder": {"cell": "gru"}, "decoder": {"cell": "gru"}}),
    ("additive", {"encoder": {"bidirectional": False, "cell": "rnn"}, "decoder": {"cell": "rnn"}}),
    ("general", {"encoder": {"layers": 3}, "decoder": {"layers": 2}}),
    ("additive", {"encoder": {"layer_norm": True}, "decoder": {"layer_norm": True}}),
    ("additive", {"embeddings": {"size": 4, "tie": "decoder"}}),
]


def counted(model: Seq2Seq, batch: Sentences, *, backward: bool) -> int:
    """Returns the operations counted by PyTorch without hand-written passes; float64 has no fused kernels."""
    model.decoder.plain = True
    with FlopCounterMode(display=False) as counter:
        logits, _ = model(batch.source, batch.mask, batch.inputs)
        if backward:
            functional.cross_entropy(logits.flatten(0, 1), batch.labels.flatten(), ignore_index=PAD).backward()
    return counter.get_total_flops()


@pytest.mark.parametrize(("score", "sections"), MODELS, ids=str)
def test_the_formula_of_the_forward_pass_equals_the_count_of_pytorch(
    score: str, sections: dict[str, Mapping[str, object]]
) -> None:
    model = tiny_model(tiny_config(score, **sections))
    batch = sentences((6,) * 5, (4,) * 5)  # without padding, which the formula does not count
    assert flop_rates(model).forward([6] * 5, [4] * 5) == counted(model, batch, backward=False)


@pytest.mark.parametrize("score", ["additive", "general", "location", "none"])
def test_the_backward_pass_is_twice_the_forward_pass(score: str) -> None:
    config = tiny_config(
        score, embeddings={"size": 32}, encoder={"hidden_size": 24}, decoder={"hidden_size": 48},
    )  # fmt: skip
    model = build_model(config, SOURCE_SIZE, TARGET_SIZE).double()
    batch = sentences((7,) * 5, (30,) * 5)
    # Except the first step of each direction, whose state of zeros needs no gradient.
    formula, library = flop_rates(model).training([7] * 5, [30] * 5), counted(model, batch, backward=True)
    assert library == pytest.approx(formula, rel=0.02)


def test_operations_of_pairs_add_up() -> None:
    rates = flop_rates(tiny_model(tiny_config()))
    together = rates.forward([5, 2, 4], [3, 7, 2])
    assert together == rates.forward([5], [3]) + rates.forward([2, 4], [7, 2])
    assert rates.training([5], [3]) == 3 * rates.forward([5], [3])


def test_the_base_shape_has_the_operations_of_its_widths() -> None:
    config = tiny_config(
        "additive", embeddings={"size": 256}, encoder={"hidden_size": 256}, decoder={"hidden_size": 512},
    )  # fmt: skip
    with torch.device("meta"):
        rates = flop_rates(build_model(config, 4000, 4000))
    assert rates.target_piece == 2 * (2048 * (256 + 512 + 512) + (512 + 256 + 512) * 256 + 256 * 4000 + 512 * 4)
    assert rates.source_piece == 2 * (2 * 1024 * (256 + 256) + 512 * 4)
