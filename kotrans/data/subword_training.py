"""Trains subword models with sentencepiece on a sample of the text, and recommends vocabulary sizes."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from itertools import chain, islice
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece

from kotrans.config.sections import TokenizerConfig
from kotrans.errors import ConfigError, DataError
from kotrans.storage.files import stream_lines
from kotrans.text.normalization import normalize

LONGEST_WORD = 32_000
"""Characters between spaces. Some versions of sentencepiece crash at 65,536, and escapes may double the length."""

_MEASURED_LINES = 20_000
_PART = 100_000
_BASE_SIZE, _SIZE_PER_ROOT = 900, 10  # fitted to the shipped configs; bytes and syllables alone are about 500
_THREADS = 4  # fixed, because the sums of the unigram model, and so its pieces, depend on it
_LONGEST_LINE = 1_000_000  # bytes; sentencepiece ignores longer lines, by default from 4192 on
_TOO_HIGH = re.compile(r"Vocabulary size too high \(\d+\)\. Please set it to a value <= (\d+)")
_TOO_LOW = re.compile(r"Vocabulary size is smaller than required_chars\. \d+ vs (\d+)")

# Sentencepiece writes a space as "▁", so a "▁" in the text would be decoded as a space. It is escaped with a
# noncharacter, which is escaped itself where a text contains it.
_ESCAPES = {"▁": "\ufdd00", "\ufdd0": "\ufdd01"}
_ESCAPED = {escape: character for character, escape in _ESCAPES.items()}
_ESCAPE = re.compile("[▁\ufdd0]")
_UNESCAPE = re.compile("\ufdd0[01]")


class LineSample:
    """The normalized lines of a file that are not blank, or a reproducible sample if there are too many.

    Lines with a word longer than `LONGEST_WORD` are skipped.
    """

    def __init__(self, path: Path, max_lines: int, max_bytes: int, seed: int, part: int = _PART) -> None:
        """part: lines sampled from at once. Raises DataError if the file is blank or not text."""
        self._path = path
        self._seed = seed
        self._part = part
        self._count = sum(1 for _ in stream_lines(path))
        if not any(map(normalize, stream_lines(path))):
            raise DataError(f"{path}: no text to train a tokenizer on; check the corpus")
        self._chosen = min(max_lines, self._count, max(1, self._count * max_bytes // path.stat().st_size))
        self.lines = 0
        """Lines yielded by the last pass."""
        self.left_out = 0
        """Lines skipped by the last pass because of a word that is too long."""
        self.measured: list[str] = []
        """Evenly spaced lines of the last pass, for statistics."""

    def __iter__(self) -> Iterator[str]:
        step = -(-self._chosen // _MEASURED_LINES)
        self.lines, self.left_out, self.measured = 0, 0, []
        for line in filter(None, map(normalize, self._sampled())):
            if len(line) > LONGEST_WORD and max(map(len, line.split(" "))) > LONGEST_WORD:
                self.left_out += 1
                continue
            if self.lines % step == 0:
                self.measured.append(line)
            self.lines += 1
            yield line

    def _sampled(self) -> Iterator[str]:
        """Samples without replacement, part by part: first the number of lines of a part, then which."""
        random = np.random.default_rng(self._seed)
        wanted, left, lines = self._chosen, self._count, stream_lines(self._path)
        while part := list(islice(lines, self._part)):
            chosen = int(random.hypergeometric(wanted, left - wanted, len(part)))
            wanted, left = wanted - chosen, left - len(part)
            yield from (part[i] for i in np.sort(random.choice(len(part), chosen, replace=False)))


def vocabulary_for(pairs: int) -> int:
    """Returns a vocabulary size with which most pieces are frequent enough to be learned, rounded to hundreds.

    It grows with the square root of the number of pairs: small corpora need small vocabularies (Sennrich and Zhang
    2019, arXiv 1905.11901).
    """
    return round((_BASE_SIZE + _SIZE_PER_ROOT * sqrt(pairs)) / 100) * 100


def learn_models(
    config: TokenizerConfig, texts: Mapping[str, Sequence[LineSample]], special: Mapping[str, Any]
) -> dict[str, bytes]:
    """Trains one model per name in `texts`; `special` maps sentencepiece's options for special pieces to ids.

    Raises ConfigError if the vocabulary size does not fit the texts, with one that does; DataError if sentencepiece
    fails; and any error raised while the texts are read.
    """
    models, lowest, highest = _attempt(config, texts, special)
    if lowest:
        raise ConfigError(
            f"tokenizer.vocabulary_size: {config.vocabulary_size} has no room for the characters of the text; "
            f"set it to {lowest} or more, or lower tokenizer.character_coverage ({config.character_coverage})"
        )
    if highest:
        raise ConfigError(_too_high(config, texts, special, highest))
    return models


def _attempt(
    config: TokenizerConfig, texts: Mapping[str, Sequence[LineSample]], special: Mapping[str, Any]
) -> tuple[dict[str, bytes], int | None, int | None]:
    """Returns the models, and the minimum and maximum vocabulary size if the configured one does not fit."""
    models, lowest, highest = {}, [], []
    for name, parts in texts.items():
        try:
            models[name] = _train(config, chain.from_iterable(parts), special)
        except RuntimeError as error:
            if high := _TOO_HIGH.search(str(error)):
                highest.append(int(high[1]))
            elif low := _TOO_LOW.search(str(error)):
                lowest.append(int(low[1]))
            else:
                raise DataError(f"tokenizer: sentencepiece cannot learn pieces from this text ({error})") from None
    return models, max(lowest, default=None), min(highest, default=None)


def _too_high(
    config: TokenizerConfig, texts: Mapping[str, Sequence[LineSample]], special: Mapping[str, Any], largest: int
) -> str:
    """Returns the message with the largest possible size and a good one: the largest has pieces that occur once."""
    least = TokenizerConfig.model_json_schema()["properties"]["vocabulary_size"]["minimum"]
    good = vocabulary_for(max(text.lines for parts in texts.values() for text in parts))
    if good < min(largest, config.vocabulary_size):
        _, lowest, _ = _attempt(config.model_copy(update={"vocabulary_size": good}), texts, special)
        good = lowest + lowest // 10 if lowest else good  # unusually many characters
    if good < largest:
        remedy = f"set it to about {good}; with more pieces, many would be too rare to be learned"
    else:
        remedy = (
            f"set it to {largest} or less" if largest >= least else f"even the minimum, {least}, requires more text"
        )
    return (
        f"tokenizer.vocabulary_size: {config.vocabulary_size} is more than the training text allows, "
        f"which is {largest}; {remedy}"
    )


class _Recorded:
    """An iterator that keeps the exception raised in it, which sentencepiece replaces by its own."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = lines
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[str]:
        try:
            yield from self._lines
        except GeneratorExit:
            raise
        except BaseException as error:
            self.error = error
            raise


def _train(config: TokenizerConfig, lines: Iterable[str], special: Mapping[str, Any]) -> bytes:
    """Returns the model's bytes. Raises the error of the lines, KeyboardInterrupt, or sentencepiece's RuntimeError."""
    recorded = _Recorded(escape(line) for line in lines)
    try:
        return _run_trainer(config, iter(recorded), special)
    except RuntimeError as error:
        if recorded.error is not None:
            raise recorded.error from None
        if "KeyboardInterrupt" in str(error):  # raised between two lines
            raise KeyboardInterrupt from None
        raise


def _run_trainer(config: TokenizerConfig, lines: Iterator[str], special: Mapping[str, Any]) -> bytes:
    model = BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=lines,
        model_writer=model,
        model_type=config.model,
        vocab_size=config.vocabulary_size,
        character_coverage=config.character_coverage,
        byte_fallback=config.byte_fallback,
        split_digits=config.split_digits,
        normalization_rule_name=config.normalization,
        max_sentence_length=_LONGEST_LINE,
        num_threads=_THREADS,
        **special,
        minloglevel=2,  # no terminal output; errors are raised
    )
    return model.getvalue()


def escape(line: str) -> str:
    """Escapes "▁", which sentencepiece reserves for spaces."""
    return _ESCAPE.sub(lambda found: _ESCAPES[found[0]], line)


def unescape(line: str) -> str:
    """Reverts `escape`."""
    return _UNESCAPE.sub(lambda found: _ESCAPED[found[0]], line)
