"""A small prepared corpus of made-up sentences, and a tokenizer trained on it."""

from pathlib import Path

import numpy as np

from kotrans.config.sections import TokenizerConfig
from kotrans.data.prepare_corpus import CorpusManifest
from kotrans.data.tokenizer import Tokenizer, train_tokenizer
from kotrans.storage.files import sha256, write_json, write_lines

_SYLLABLES = "가나다라마바사아자차카타파하은는이을를에서고지만했습니다요"
_LETTERS = "etaoinshrdlucmfwyp"


def sentences(count: int, seed: int) -> tuple[list[str], list[str]]:
    """Korean and English lines of 1 to 14 made-up words, of like lengths in a pair."""
    words = np.random.default_rng(0)
    korean = ["".join(words.choice(list(_SYLLABLES), words.integers(1, 5))) for _ in range(150)]
    english = ["".join(words.choice(list(_LETTERS), words.integers(1, 8))) for _ in range(150)]
    random = np.random.default_rng(seed)
    source, target = [], []
    for length in random.integers(1, 13, count):
        source.append(" ".join(random.choice(korean, length)))
        target.append(" ".join(random.choice(english, length + random.integers(0, 3))))
    return source, target


def write_corpus(folder: Path, splits: dict[str, tuple[list[str], list[str]]], key: str = "0123456789ab") -> Path:
    """A prepared corpus as `prepare_corpus` leaves it; every other training pair is of the second corpus."""
    folder.mkdir(parents=True)
    for split, (source, target) in splits.items():
        write_lines(folder / f"{split}.ko", source)
        write_lines(folder / f"{split}.en", target)
    pairs = {split: len(source) for split, (source, _) in splits.items()}
    np.save(folder / "train.origin.npy", np.arange(pairs.get("train", 0), dtype=np.uint16) % 2)
    sides = {"source": folder / "train.ko", "target": folder / "train.en"}
    text = {side: sha256(path) for side, path in sides.items() if path.exists()}
    manifest = CorpusManifest(key=key, inputs={}, text=text, corpora=(), splits=pairs, dropped={}, normalised={})
    write_json(folder / "manifest.json", manifest.model_dump())
    return folder


def small_tokenizer(folder: Path, config: TokenizerConfig, count: int = 400) -> Tokenizer:
    """Trained in `folder` on some sentences."""
    source, target = sentences(count, seed=1)
    write_lines(folder / "text.ko", source)
    write_lines(folder / "text.en", target)
    train_tokenizer(config, folder / "text.ko", folder / "text.en", folder / "tokenizer", seed=1)
    return Tokenizer.load(folder / "tokenizer")
