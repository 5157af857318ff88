"""Measures training and translation of the larger configs with `kotrans bench`, for `make bench-gpu`.

usage: python tests/gpu/measure.py [FOLDER [DEVICE [SECONDS [CONFIG ...]]]]
Writes the JSON of each measurement, and a table of all of them, which is also printed. Each is a process of its own, so
that its memory is that of one model. By default on CUDA, 30 seconds each.
"""

import json
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

CONFIGS = ("base", "open-ko-en-large", "korean-english-news")
PRECISIONS = ("fp32", "bf16")
ROOT = Path(__file__).parents[2]
HEADINGS = [
    "config", "precision", "training, tokens/s", "share of the matrix peak", "peak, TFLOP/s", "memory, MB",
    "greedy, in batches, tokens/s", "beam 5, in batches", "greedy, one by one", "beam 5, one by one",
]  # fmt: skip


def measure(config: str, precision: str, device: str, seconds: float) -> dict[str, Any]:
    """Returns what `kotrans bench --json` prints."""
    settings = ["--set", f"hardware.device={device}", "--set", f"hardware.precision={precision}"]
    command = ["bench", "-c", str(ROOT / "configs" / f"{config}.yaml"), "--data", "synthetic", *settings]
    done = subprocess.run(
        [sys.executable, "-m", "kotrans", *command, "--seconds", f"{seconds:g}", "--json"],
        check=True, stdout=subprocess.PIPE, encoding="utf-8",
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def row(found: dict[str, Any]) -> list[str]:
    """Returns the cells of one measurement; its translations are those in the precision of training."""
    training, memory = found["training"], found["memory"]
    searches = [each for each in found["search"] if each["precision"] == found["precision"]]
    searches.sort(key=lambda each: (-each["batch"], each["beam"]))
    speeds = [f"{each['tokens_per_second']:,.0f}" if each["tokens_per_second"] else "too slow" for each in searches]
    return [
        found["config"],
        found["precision"],
        f"{training['tokens_per_second']:,.0f}",
        f"{training['share_of_peak']:.1%}",
        f"{found['peak']['flops_per_second'] / 1e12:,.2f}",
        f"{(memory['cuda'] or memory['resident'] or 0) / 1e6:,.0f}",
        *(speeds or ["–"] * 4),
    ]


def table(measured: list[dict[str, Any]]) -> str:
    """Returns the machine and the figures as Markdown."""
    first = measured[0]
    lines = [HEADINGS, ["---", "---", *["---:"] * (len(HEADINGS) - 2)], *map(row, measured)]
    machine = f"{first['machine']['gpu'] or first['machine']['cpu']}, PyTorch {first['machine']['torch']}"
    heading = f"{machine}, kotrans {first['kotrans']}, {first['date'][:10]}, random pairs:\n\n"
    return heading + "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def main(folder: str = "build/gpu", device: str = "cuda", seconds: str = "30", *configs: str) -> None:
    """Measures each config in each precision."""
    out, measured = Path(folder), []
    out.mkdir(parents=True, exist_ok=True)
    for config, precision in product(configs or CONFIGS, PRECISIONS):
        measured.append(measure(config, precision, device, float(seconds)))
        (out / f"{config}-{precision}.json").write_text(json.dumps(measured[-1], indent=2) + "\n", "utf-8")
    (out / "figures.md").write_text(table(measured), "utf-8")
    print(table(measured))


if __name__ == "__main__":
    main(*sys.argv[1:])
