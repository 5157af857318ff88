"""The profile of training."""

from contextlib import closing

import pytest
import torch

from kotrans.bench.figures import Peak
from kotrans.bench.random_pairs import SyntheticPairs
from kotrans.bench.training_speed import (
    KERNELS,
    OTHER_OPERATIONS,
    OWN_FUNCTIONS,
    PRODUCTS,
    TrainingBench,
    measure_profile,
    profile_of,
)
from kotrans.config.loading import check_config
from kotrans.data.prefetch import Prefetched
from kotrans.model.build import build_model

pytestmark = pytest.mark.e2e

CPU = torch.device("cpu")


def test_the_bound_is_the_share_of_peak_with_products_and_kernels_alone() -> None:
    profile = profile_of({PRODUCTS: 3.0, KERNELS: 1.0, OTHER_OPERATIONS: 4.0}, 800, Peak(400.0))
    assert list(profile.seconds.items()) == [(OTHER_OPERATIONS, 4.0), (PRODUCTS, 3.0), (KERNELS, 1.0)]
    assert profile.share_of_peak == pytest.approx(800 / 8 / 400)
    assert profile.bound == pytest.approx(800 / 4 / 400)


def test_a_profile_of_training_contains_every_kind_of_operation() -> None:
    config = check_config({
        "name": "tiny", "corpora": [{"name": "starter"}], "tokenizer": {"vocabulary_size": 300},
        "batches": {"tokens": 256}, "embeddings": {"size": 8}, "encoder": {"hidden_size": 8},
        "attention": {"size": 8}, "decoder": {"hidden_size": 8},
    }, "test")  # fmt: skip
    with closing(Prefetched(SyntheticPairs(config).stream(), CPU)) as stream:
        bench = TrainingBench(build_model(config, 300, 300), stream, config, device=CPU, precision="fp32", threads=1)
        profile = measure_profile(bench, Peak(1e12), 0.0, lambda _: None)
    assert profile.seconds.keys() == {
        PRODUCTS, KERNELS, "copies, casts, filling", "optimizer", OTHER_OPERATIONS, OWN_FUNCTIONS,
    }  # fmt: skip
    assert 0 < profile.share_of_peak < profile.bound < 1
