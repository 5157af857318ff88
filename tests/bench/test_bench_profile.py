"""What the time of training is spent in."""

from contextlib import closing

import pytest
import torch

from kotrans.bench.figures import Peak
from kotrans.bench.random_pairs import SyntheticPairs
from kotrans.bench.training_speed import (
    COPIES,
    KERNELS,
    OPTIMIZER,
    OTHERS,
    OUR_OWN,
    PRODUCTS,
    TrainingBench,
    kind_of,
    measure_profile,
    profile_of,
)
from kotrans.config.loading import check_config
from kotrans.data.prefetch import Prefetched
from kotrans.model.build import build_model

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("aten::mm", PRODUCTS), ("aten::addmm", PRODUCTS), ("aten::bmm", PRODUCTS),
        ("mkldnn::_linear_pointwise", PRODUCTS), ("aten::mkldnn_rnn_layer_backward", KERNELS),
        ("aten::copy_", COPIES), ("aten::_fused_adam_", OPTIMIZER), ("aten::tanh_", OTHERS), ("aten::mul", OTHERS),
        ("_AttendBackward", OUR_OWN), ("Optimizer.step#Adam.step", OUR_OWN),
    ],
)  # fmt: skip
def test_operations_are_told_apart_by_name(operation: str, kind: str) -> None:
    assert kind_of(operation) == kind


def test_the_bound_is_what_products_and_kernels_alone_would_reach() -> None:
    profile = profile_of({PRODUCTS: 3.0, KERNELS: 1.0, OTHERS: 4.0}, 800, Peak(400.0, 512))
    assert [(part.kind, part.share) for part in profile.parts] == [(OTHERS, 0.5), (PRODUCTS, 0.375), (KERNELS, 0.125)]
    assert profile.share_of_peak == pytest.approx(800 / 8 / 400)
    assert profile.bound == pytest.approx(800 / 4 / 400)


def test_a_profile_of_training_finds_its_products_its_kernels_and_its_optimizer() -> None:
    config = check_config({
        "name": "tiny", "corpora": [{"name": "starter"}], "tokenizer": {"vocabulary_size": 300},
        "batches": {"tokens": 256}, "embeddings": {"size": 8}, "encoder": {"hidden_size": 8},
        "attention": {"size": 8}, "decoder": {"hidden_size": 8},
    }, "test")  # fmt: skip
    with closing(Prefetched(SyntheticPairs(config).stream(), CPU)) as stream:
        bench = TrainingBench(build_model(config, 300, 300), stream, config, device=CPU, precision="fp32", threads=1)
        profile = measure_profile(bench, Peak(1e12, 512), 0.0, lambda _: None)
    assert {PRODUCTS, KERNELS, COPIES, OPTIMIZER, OTHERS, OUR_OWN} == {part.kind for part in profile.parts}
    assert sum(part.share for part in profile.parts) == pytest.approx(1)
    assert 0 < profile.share_of_peak < profile.bound < 1
