"""Choice of device and precision."""

from pathlib import Path

import pytest
import torch

from kotrans.config.schema import HardwareConfig
from kotrans.errors import ConfigError
from kotrans.parallel.device import pick_device, pick_precision, pick_training_precision
from kotrans.parallel.processor import multiplies_bf16


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx512f avx512_bf16 amx_tile", True),
        ("fpu amx_bf16", True),
        ("fpu avx2 avx512f", False),
        ("fpu avx512_bf16x", False),
    ],
)
def test_bf16_is_used_on_cpus_with_bf16_matrix_instructions(tmp_path: Path, flags: str, expected: bool) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nvendor_id\t: x\nflags\t\t: {flags}\nbogomips\t: 1\n", "utf-8")
    assert multiplies_bf16(cpuinfo) is expected


def test_a_machine_without_cpu_flags_uses_fp32(tmp_path: Path) -> None:
    assert not multiplies_bf16(tmp_path / "missing")
    (tmp_path / "cpuinfo").write_text("processor : 0\nFeatures : fp asimd\n", "utf-8")
    assert not multiplies_bf16(tmp_path / "cpuinfo")


def test_int8_is_only_for_translation_on_a_cpu() -> None:
    int8 = HardwareConfig(precision="int8")
    assert pick_precision(int8, torch.device("cpu")) == "int8"
    with pytest.raises(ConfigError, match=r"^hardware\.precision: int8 is only for the CPU; use bf16 on cuda$"):
        pick_precision(int8, torch.device("cuda"))
    with pytest.raises(
        ConfigError, match=r"^hardware\.precision: int8 is only for translation; train in bf16 or fp32$"
    ):
        pick_training_precision(int8, torch.device("cpu"))
    assert pick_training_precision(HardwareConfig(precision="bf16"), torch.device("cpu")) == "bf16"


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"), [(False, True, "cpu"), (True, True, "cuda"), (False, False, "cpu")]
)
def test_mps_is_used_only_if_configured(cuda: bool, mps: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert pick_device(HardwareConfig()).type == expected
    if mps:
        assert pick_device(HardwareConfig(device="mps")).type == "mps"
    else:
        with pytest.raises(ConfigError, match=r"hardware\.device: mps is not available on this machine; use cpu"):
            pick_device(HardwareConfig(device="mps"))
