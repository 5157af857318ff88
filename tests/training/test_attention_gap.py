"""The benefit of attention: a fixed context loses more of longer sources.

Two small models, one with attention and one without, learn lines of one to four short sentences. `eval` must not split
the lines into sentences, or no source would be long enough to show the difference.
"""

import random
from pathlib import Path

import pytest

from kotrans.evaluation.evaluate import evaluate_run
from kotrans.evaluation.test_sets import files_as_test_set
from kotrans.runs.run import Run
from kotrans.storage.files import write_lines
from kotrans.translation.translator import Translator
from tests.tiny_training import tiny_config, train_tiny

pytestmark = pytest.mark.slow

WHO = {"저는": "I", "우리는": "We", "너는": "You", "그들은": "They"}
WHAT = {
    "고양이": "cat", "강아지": "dog", "나무": "tree", "의자": "chair", "사과": "apple", "우유": "milk", "바다": "sea",
}  # fmt: skip
DOES = {"봅니다": "see", "찾습니다": "find", "좋아합니다": "like", "그립니다": "draw", "기다립니다": "wait for"}
LENGTHS = (1, 2, 3, 4)  # sentences


def write_lines_of_sentences(folder: Path) -> None:
    """Training text with more short lines than long ones, and 100 test lines of each length."""
    draw = random.Random(1)

    def pair(sentences: int) -> tuple[str, str]:
        chosen = [[draw.choice(list(words)) for words in (WHO, WHAT, DOES)] for _ in range(sentences)]
        korean = [f"{who} {what}를 {does}." for who, what, does in chosen]
        english = [f"{WHO[who]} {DOES[does]} the {WHAT[what]}." for who, what, does in chosen]
        return " ".join(korean), " ".join(english)

    lengths: dict[str, list[int]] = {
        split: [draw.choice([1, 1, 1, 2, 2, 3, 4]) for _ in range(count)]
        for split, count in (("train", 6000), ("dev", 50), ("test", 10))
    }
    for name, each in (lengths | {f"long{length}": [length] * 100 for length in LENGTHS}).items():
        pairs = [pair(length) for length in each]
        write_lines(folder / f"{name}.ko", [korean for korean, _ in pairs])
        write_lines(folder / f"{name}.en", [english for _, english in pairs])


def bleu_by_length(run: str, text: Path, *settings: str) -> list[float]:
    """BLEU of `kotrans eval` on the lines of each length."""
    translator = Translator.load(run, settings=["search.beam=1", *settings])
    tests = [files_as_test_set(text / f"long{n}.ko", text / f"long{n}.en") for n in LENGTHS]
    return [evaluate_run(translator, test).scores.bleu for test in tests]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_attention_beats_a_fixed_context_by_more_on_longer_sources(runs: Path, tmp_path: Path) -> None:
    write_lines_of_sentences(tmp_path)
    for score in ("additive", "none"):
        config = tiny_config(
            tmp_path,
            tokenizer={"vocabulary_size": 340},
            batches={"tokens": 300, "max_pieces": 80},
            embeddings={"size": 64},
            encoder={"hidden_size": 64},
            attention={"size": 32, "score": score},
            decoder={"hidden_size": 64},
            dropout={"embedding": 0, "layers": 0, "output": 0},
            training={"max_updates": 700, "learning_rate": 0.01, "warmup": 100, "label_smoothing": 0},
            validation={"every": 700, "sentences": 20},
            search={"max_length_ratio": 2, "max_length_extra": 20},
            hardware={"device": "cpu", "threads": 1, "precision": "fp32"},
        )
        train_tiny(config, Run(runs / score))
    with_attention, without = bleu_by_length("additive", tmp_path), bleu_by_length("none", tmp_path)
    gaps = [attention - fixed for attention, fixed in zip(with_attention, without, strict=True)]
    assert min(with_attention) > 90
    assert without[0] > 75  # it has learned short sources
    assert gaps[1] > gaps[0] + 5
    assert gaps[2] > gaps[1] + 10
    assert gaps[3] > 40
    # Split into sentences, a long line becomes several short sources, and the gap closes.
    split = bleu_by_length("none", tmp_path, "search.split_sentences=true")
    assert with_attention[3] - split[3] < 25
