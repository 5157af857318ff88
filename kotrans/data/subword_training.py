"""Training of subword models with sentencepiece; exceptions raised while it reads the text are re-raised unchanged.

How many pieces a vocabulary should have for so much training text.

A part of a text that is large enough to learn pieces from, always the same, read without the rest in memory.
"""

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

_MEASURED = 20_000
_PART = 100_000


LONGEST_WORD = 32_000
"""Characters between blanks. Some versions of sentencepiece end the process at 65,536, and escapes may double them."""


class LineSample:
    """The lines of a file that are not blank, normalised; a fixed choice of them where there are too many.

    A line with a word longer than `LONGEST_WORD` is no text to learn pieces from, and is left out.
    """

    def __init__(self, path: Path, most_lines: int, most_bytes: int, seed: int, part: int = _PART) -> None:
        """`part` lines are chosen from at once. Raises DataError if the file is blank or not text."""
        self._path = path
        self._seed = seed
        self._part = part
        self._count = sum(1 for _ in stream_lines(path))
        if not any(map(normalize, stream_lines(path))):
            raise DataError(f"{path}: no text to train a tokenizer on; check the corpus")
        self._chosen = min(most_lines, self._count, max(1, self._count * most_bytes // path.stat().st_size))
        self.lines = 0
        """Lines that the last pass gave."""
        self.left_out = 0
        """Lines that it left out for a word that is too long."""
        self.measured: list[str] = []
        """At most so many of them as are enough for statistics, evenly spread."""

    def __iter__(self) -> Iterator[str]:
        step = -(-self._chosen // _MEASURED)
        self.lines, self.left_out, self.measured = 0, 0, []
        for line in filter(None, map(normalize, self._choice())):
            if len(line) > LONGEST_WORD and max(map(len, line.split(" "))) > LONGEST_WORD:
                self.left_out += 1
                continue
            if self.lines % step == 0:
                self.measured.append(line)
            self.lines += 1
            yield line

    def _choice(self) -> Iterator[str]:
        """Every line with the same chance, decided part by part: how many of the part's lines, and then which."""
        random = np.random.default_rng(self._seed)
        wanted, left, lines = self._chosen, self._count, stream_lines(self._path)
        while part := list(islice(lines, self._part)):
            chosen = int(random.hypergeometric(wanted, left - wanted, len(part)))
            wanted, left = wanted - chosen, left - len(part)
            yield from (part[i] for i in np.sort(random.choice(len(part), chosen, replace=False)))


# 256 bytes and the syllables of little text are some 500 to 1,000 pieces already. 500 pairs give 1,100, 6,000 give
# 1,700 and 240,000 give 5,800; the configs that come with kotrans have 1,500 and 6,000 for the last two.
_ALWAYS, _PER_ROOT = 900, 10


def vocabulary_for(pairs: int) -> int:
    """A size with which most pieces occur often enough to be learned, rounded to a hundred.

    It grows with the square root of the number of pairs: little text wants few pieces (Sennrich and Zhang 2019,
    arXiv 1905.11901).
    """
    return round((_ALWAYS + _PER_ROOT * sqrt(pairs)) / 100) * 100


Texts = Mapping[str, Sequence[LineSample]]

_THREADS = 4  # fixed, because unigram's sums, and so its pieces, depend on it
_LONGEST_LINE = 1_000_000  # bytes; sentencepiece leaves longer lines out of training, 4192 by default
_TOO_HIGH = re.compile(r"Vocabulary size too high \(\d+\)\. Please set it to a value <= (\d+)")
_TOO_LOW = re.compile(r"Vocabulary size is smaller than required_chars\. \d+ vs (\d+)")

# Sentencepiece writes a space as "▁", so one that the user typed would come back as a space. It is spelt with a
# noncharacter, which no text has a use for; where a text has one all the same, that is spelt too.
_ESCAPES = {"▁": "\ufdd00", "\ufdd0": "\ufdd01"}
_ESCAPED = {escape: character for character, escape in _ESCAPES.items()}
_ESCAPE = re.compile("[▁\ufdd0]")
_UNESCAPE = re.compile("\ufdd0[01]")


def learn_models(config: TokenizerConfig, texts: Texts, special: Mapping[str, Any]) -> dict[str, bytes]:
    """One model for the texts under each name, with the ids of special pieces by sentencepiece's name for them.

    Raises ConfigError if the vocabulary size does not suit the texts, with one that suits them all, DataError if they
    cannot be learned from, and whatever goes wrong while they are read.
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
    config: TokenizerConfig, texts: Texts, special: Mapping[str, Any]
) -> tuple[dict[str, bytes], int | None, int | None]:
    """The models, and what the texts allow where the size does not suit them: at least, and at most."""
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


def _too_high(config: TokenizerConfig, texts: Texts, special: Mapping[str, Any], largest: int) -> str:
    """Says which size is possible, and which is good: the largest possible has pieces that occur once or twice."""
    least = TokenizerConfig.model_json_schema()["properties"]["vocabulary_size"]["minimum"]
    good = vocabulary_for(max(text.lines for parts in texts.values() for text in parts))
    if good < min(largest, config.vocabulary_size):
        _, lowest, _ = _attempt(config.model_copy(update={"vocabulary_size": good}), texts, special)
        good = lowest + lowest // 10 if lowest else good  # characters take more of it than they usually do
    if good < largest:
        remedy = f"set it to about {good}; of more pieces, many would occur too rarely to be learned"
    else:
        remedy = f"set it to {largest} or less" if largest >= least else f"even the least, {least}, needs more text"
    return (
        f"tokenizer.vocabulary_size: {config.vocabulary_size} is more than the training text allows, "
        f"which is {largest}; {remedy}"
    )


class _Watched:
    """Lines on their way to sentencepiece, which tells of an error in them only that there was one."""

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
    """The model's bytes. Raises what went wrong with the lines, KeyboardInterrupt, or RuntimeError of sentencepiece."""
    watched = _Watched(escape(line) for line in lines)
    try:
        return _trained(config, iter(watched), special)
    except RuntimeError as error:
        if watched.error is not None:
            raise watched.error from None
        if "KeyboardInterrupt" in str(error):  # it came between two lines
            raise KeyboardInterrupt from None
        raise


def _trained(config: TokenizerConfig, lines: Iterator[str], special: Mapping[str, Any]) -> bytes:
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
        minloglevel=2,  # errors come as exceptions; nothing goes to the terminal
    )
    return model.getvalue()


def escape(line: str) -> str:
    """A line as sentencepiece gets it, which has its own use for "▁"."""
    return _ESCAPE.sub(lambda found: _ESCAPES[found[0]], line)


def unescape(line: str) -> str:
    """The line that was escaped."""
    return _UNESCAPE.sub(lambda found: _ESCAPED[found[0]], line)
