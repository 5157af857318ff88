"""End to end: a small model learns to translate Korean numbers into digits in reverse order."""

from pathlib import Path

import pytest
import torch

from kotrans.runs.run import Run
from kotrans.translation.postprocess import Translation
from kotrans.translation.translator import Translator
from tests.tiny_training import tiny_config, train_tiny, write_numbers

pytestmark = pytest.mark.slow


@pytest.fixture
def learned(runs: Path, tmp_path: Path) -> Path:
    """The text that a small model was trained on."""
    text = write_numbers(tmp_path / "text", {"train": 3000, "dev": 50, "test": 100}, longest=4)
    config = tiny_config(
        text,
        batches={"tokens": 300},
        embeddings={"size": 64},
        encoder={"hidden_size": 64},
        attention={"size": 32},
        decoder={"hidden_size": 64},
        dropout={"embedding": 0, "layers": 0, "output": 0},
        training={"max_updates": 700, "learning_rate": 0.006, "warmup": 200, "label_smoothing": 0},
        validation={"every": 350},
        search={"max_length_ratio": 2},
    )
    train_tiny(config, Run(runs / "numbers"))
    return text


def test_a_model_learns_to_read_numbers_and_reverse_them(learned: Path, runs: Path) -> None:
    sources = (learned / "test.ko").read_text("utf-8").splitlines()
    references = (learned / "test.en").read_text("utf-8").splitlines()
    assert (Run(runs / "numbers").record().best_bleu or 0) > 90
    torch.set_num_threads(1)
    translator = Translator.load("numbers", settings=["search.beam=3", "search.batch=32"])
    together = list(translator.translations(sources))
    right = sum(found.text == reference for found, reference in zip(together, references, strict=True))
    assert right > 90
    alone = [next(iter(translator.translations([source]))) for source in sources[:30]]
    assert [found.text for found in alone] == [found.text for found in together[:30]]
    assert scores(alone) == pytest.approx(scores(together[:30]), abs=1e-4)


def scores(translations: list[Translation]) -> list[float]:
    return [translation.hypotheses[0].score for translation in translations]
