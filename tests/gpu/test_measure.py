"""The program of `make bench-gpu`, on the CPU."""

import json
from pathlib import Path

import pytest

from tests.gpu import measure

pytestmark = pytest.mark.e2e


def test_each_config_is_measured_and_tabulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(measure, "PRECISIONS", ("fp32",))
    measure.main(str(tmp_path / "out"), "cpu", "1", "tiny")
    found = json.loads((tmp_path / "out" / "tiny-fp32.json").read_text("utf-8"))
    assert (found["config"], found["device"], found["data"]["kind"]) == ("tiny", "cpu", "synthetic")
    *_, heading, rule, cells = (tmp_path / "out" / "figures.md").read_text("utf-8").splitlines()
    assert heading.count("|") == rule.count("|") == cells.count("|") == len(measure.HEADINGS) + 1
    assert cells.startswith(f"| tiny | fp32 | {found['training']['tokens_per_second']:,.0f} |")
    assert capsys.readouterr().out.strip() == (tmp_path / "out" / "figures.md").read_text("utf-8").strip()


def test_the_row_has_the_translations_in_the_precision_of_training_batches_first() -> None:
    searches = [
        {"precision": precision, "beam": beam, "batch": batch, "tokens_per_second": speed}
        for precision, beam, batch, speed in [
            ("fp32", 1, 1, 9), ("bf16", 5, 1, 1), ("bf16", 1, 1, 2), ("bf16", 1, 64, 4), ("bf16", 5, 64, None)
        ]
    ]  # fmt: skip
    found = {
        "config": "some", "precision": "bf16", "training": {"tokens_per_second": 1234.5, "share_of_peak": 0.25},
        "peak": {"flops_per_second": 2e14}, "memory": {"cuda": 3e9, "resident": 1e9}, "search": searches,
    }  # fmt: skip
    assert measure.row(found) == ["some", "bf16", "1,234", "25.0%", "200.00", "3,000", "4", "too slow", "2", "1"]
