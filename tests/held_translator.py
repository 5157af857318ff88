"""A translator over a lookup table that tests can block, resume and make fail."""

import threading
from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np

from kotrans.config.schema import SearchConfig
from kotrans.engine.stepper import Booleans, Floats, Ints, Weights
from kotrans.search.hypotheses import Hypothesis
from kotrans.translation.glossary import Glossary
from kotrans.translation.postprocess import LinePart, Postprocessor, PreparedLine, TranslatedText, Translation
from kotrans.translation.translator import Translator
from tests.search.small_models import VOCABULARY, TableStepper

SECONDS = 30  # timeout of a test
STEPS = 20  # per part


class HeldStepper(TableStepper):
    """Predicts the same piece in every step once it is released; fails for the source "broken"."""

    def __init__(self) -> None:
        table = np.zeros((VOCABULARY, VOCABULARY))
        table[:, 4], table[:, 5] = 0.75, 0.25
        super().__init__(table)
        self.free = threading.Event()
        self.busy = threading.Event()
        self.one_step = threading.Semaphore(0)
        self.joined: list[list[str]] = []  # parts that joined the search together
        self.rows: list[int] = []  # per step

    def start(self, source: Ints, mask: Booleans) -> int:
        parts = ["".join(map(chr, row[real][:-1].tolist())) for row, real in zip(source, mask, strict=True)]
        self.joined.append(parts)
        if "broken" in parts:
            raise MemoryError
        return super().start(source, mask)

    def logits(self, state: int, previous: Ints) -> tuple[Floats, int, Weights | None]:
        self.busy.set()
        assert self.free.is_set() or self.one_step.acquire(timeout=SECONDS)
        self.rows.append(state)
        return super().logits(state, previous)

    def let_go(self) -> None:
        """Releases all steps from now on."""
        self.free.set()
        self.one_step.release()


class Held(Translator):
    """Translates each line into itself once it is released."""

    def __init__(self, *, batch: int = 64, beam: int = 1) -> None:
        self.config = SearchConfig(
            beam=beam, batch=batch, max_length_ratio=0, max_length_extra=STEPS, max_repetitions=None, length_penalty=0
        )
        self.held = HeldStepper()
        self.stepper = self.held
        self.postprocessor = Unspelt()
        self.tokenizer = SimpleNamespace(target=SimpleNamespace(size=VOCABULARY))  # type: ignore[assignment]

    def prepare(
        self, lines: Sequence[str], first: int = 1, *, split_sentences: bool | None = None,
        prefix: str | None = None, glossary: Glossary | None = None,
    ) -> list[PreparedLine]:  # fmt: skip
        return [prepared(line) for line in lines]


class Unspelt(Postprocessor):
    """Returns the line itself as its translation."""

    def __init__(self) -> None:
        self._config = SearchConfig(verbatim_penalty=0)

    def assemble(self, prepared: PreparedLine, found: Sequence[Sequence[Hypothesis]], n_best: int) -> Translation:
        assert all(len(hypothesis.ids) == STEPS for hypotheses in found for hypothesis in hypotheses)
        text = TranslatedText(prepared.line, 0.0, 0.0, (), (), (), finished=True, copies=())
        return Translation(prepared.line, (), (text,), len(found))


def prepared(line: str) -> PreparedLine:
    """Returns a line with one part per word."""
    return PreparedLine(line, [LinePart([ord(letter) for letter in word], " ") for word in line.split()], cut=False)
