"""The paired bootstrap compared with sacrebleu's command."""

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kotrans.errors import DataError
from kotrans.evaluation.significance import paired_bootstrap
from kotrans.storage.files import write_lines

_WORDS = [
    "the",
    "a",
    "cat",
    "dog",
    "sees",
    "finds",
    "likes",
    "old",
    "new",
    "tree",
    "house",
    "and",
    "river",
    "sea",
    "of",
    "under",
]


def texts(pairs: int = 60) -> tuple[list[str], list[str], list[str]]:
    """Returns references and the outputs of two systems, the second one with more mistakes."""
    dice = random.Random(5)
    references = [" ".join(dice.choices(_WORDS, k=dice.randint(4, 12))) for _ in range(pairs)]

    def worse(line: str, share: float) -> str:
        return " ".join(dice.choice(_WORDS) if dice.random() < share else word for word in line.split())

    return references, [worse(line, 0.3) for line in references], [worse(line, 0.34) for line in references]


def test_the_numbers_are_those_of_the_sacrebleu_command(tmp_path: Path) -> None:
    names = ("r.en", "a.en", "b.en")
    for name, lines in zip(names, texts(), strict=True):
        write_lines(tmp_path / name, lines)
    command = ["r.en", "-i", "a.en", "b.en", "-m", "bleu", "chrf", "ter", "--paired-bs", "-w", "4", "-f", "text"]
    printed = subprocess.run(
        [sys.executable, "-m", "sacrebleu", *command], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    references, first, second = texts()
    compared = paired_bootstrap(first, second, references)
    for number, name in enumerate(("a.en", "b.en")):
        row = next(line for line in printed.split("\n") if name in line)
        printed_scores = [tuple(map(float, each)) for each in re.findall(r"([\d.]+) \(([\d.]+) ± ([\d.]+)\)", row)]
        ours = [metric.systems[number] for metric in compared]
        assert printed_scores == [
            pytest.approx((each.score, each.mean, each.half_width), abs=6e-5) for each in ours
        ]  # -w 4 prints four digits
    printed_p = [float(each) for each in re.findall(r"\(p = ([\d.]+)\)", printed)]
    assert printed_p == pytest.approx([metric.p_value for metric in compared], abs=6e-5)
    assert len(set(printed_p)) > 1
    for metric in compared:
        assert metric.signature in printed
        assert "bs:1000|seed:12345" in metric.signature


def test_equal_systems_have_a_difference_of_0_and_a_p_value_of_1() -> None:
    references, first, _ = texts(20)
    for metric in paired_bootstrap(first, list(first), references, samples=50):
        assert (metric.difference, metric.p_value) == (0.0, 1.0)


def test_swapping_the_systems_negates_the_difference_and_keeps_the_p_value() -> None:
    references, first, second = texts(20)
    there, back = paired_bootstrap(first, second, references, 50), paired_bootstrap(second, first, references, 50)
    for one, other in zip(there, back, strict=True):
        assert one.difference == -other.difference != 0
        assert one.p_value == other.p_value
        assert one.systems == other.systems[::-1]


def test_a_perfect_system_has_the_lowest_p_value_against_a_bad_one() -> None:
    references, _, second = texts()
    bleu, chrf, ter = paired_bootstrap(second, references, references, samples=200)
    assert bleu.p_value == chrf.p_value == ter.p_value == 1 / 201
    assert bleu.difference > 0 > ter.difference


def test_different_numbers_of_lines_and_empty_systems_raise_data_error() -> None:
    with pytest.raises(DataError, match=r"^the second system: has 1 lines but the references has 2"):
        paired_bootstrap(["a", "b"], ["a"], ["a", "b"])
    with pytest.raises(DataError, match=r"^the references: has no lines to score against"):
        paired_bootstrap([], [], [])


@pytest.mark.parametrize("lines", [["a tree"], ["", ""], ["a cat", ""], ["the old cat sees a tree"] * 2])
def test_equal_systems_with_empty_lines_have_a_p_value_of_1(lines: list[str]) -> None:
    for references in (lines, [""] * len(lines), ["the dog"] * len(lines)):
        for metric in paired_bootstrap(lines, lines, references, samples=50):
            assert (metric.difference, metric.p_value) == (0, 1)


def test_one_sentence_has_a_p_value_of_1() -> None:
    for metric in paired_bootstrap(["the old cat sees a tree"], ["a river"], ["the old cat sees a tree"], samples=50):
        assert metric.difference != 0
        assert metric.p_value == 1
