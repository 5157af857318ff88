"""Where it runs and in what precision."""

from pathlib import Path

import pytest
import torch

from kotrans.config.schema import HardwareConfig
from kotrans.errors import ConfigError
from kotrans.parallel.device import multiplies_bf16, pick_device, pick_precision, pick_training_precision


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx512f avx512_bf16 amx_tile", True),
        ("fpu amx_bf16", True),
        ("fpu avx2 avx512f", False),
        ("fpu avx512_bf16x", False),
    ],
)
def test_bfloat16_is_for_processors_that_multiply_in_it(tmp_path: Path, flags: str, expected: bool) -> None:
    described = tmp_path / "cpuinfo"
    described.write_text(f"processor\t: 0\nvendor_id\t: x\nflags\t\t: {flags}\nbogomips\t: 1\n", "utf-8")
    assert multiplies_bf16(described) is expected


def test_a_machine_that_does_not_describe_its_processor_computes_in_float32(tmp_path: Path) -> None:
    assert not multiplies_bf16(tmp_path / "missing")
    (tmp_path / "cpuinfo").write_text("processor : 0\nFeatures : fp asimd\n", "utf-8")
    assert not multiplies_bf16(tmp_path / "cpuinfo")


def test_int8_is_for_translating_on_a_cpu_alone() -> None:
    told = HardwareConfig(precision="int8")
    assert pick_precision(told, torch.device("cpu")) == "int8"
    with pytest.raises(ConfigError, match=r"^hardware\.precision: int8 is for the CPU; take bf16 on cuda$"):
        pick_precision(told, torch.device("cuda"))
    with pytest.raises(ConfigError, match=r"^hardware\.precision: int8 is for translating alone"):
        pick_training_precision(told, torch.device("cpu"))
    assert pick_training_precision(HardwareConfig(precision="bf16"), torch.device("cpu")) == "bf16"


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"), [(False, True, "cpu"), (True, True, "cuda"), (False, False, "cpu")]
)
def test_apple_s_gpu_is_taken_only_by_whoever_asks_for_it(
    cuda: bool, mps: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert pick_device(HardwareConfig()).type == expected
    if mps:
        assert pick_device(HardwareConfig(device="mps")).type == "mps"
    else:
        with pytest.raises(ConfigError, match=r"hardware\.device: mps is not available on this machine; take cpu"):
            pick_device(HardwareConfig(device="mps"))
