"""How far training has come: what a checkpoint remembers beside weights and optimizer."""

import json
from dataclasses import dataclass
from typing import Any, Self

from kotrans.data.batching import Position
from kotrans.runs.schedule import CooldownPlan


@dataclass(frozen=True)
class Progress:
    """The state of training after an update; with the tensors beside it, all that a resume needs."""

    update: int = 0
    epoch: int = 0
    batch: int = 0  # batches of this epoch that have been trained on
    target_tokens: int = 0
    minutes: float = 0.0
    best_update: int | None = None
    best_bleu: float | None = None
    best_perplexity: float | None = None
    best_measured: str | None = None  # hash of the settings that the best was measured with; None in older checkpoints
    stale_validations: int = 0  # since the best
    validation_due: bool = False  # of this update: a stop came before it
    rate_factor: float = 1.0  # what `plateau` has made of the learning rate
    stale_at_rate: int = 0  # validations without improvement since the rate last fell
    cooldown: CooldownPlan | None = None  # planned when the cooldown begins, if the clock ends training
    ranks: int = 1  # processes that trained together
    threads: int | None = None  # of each that share a batch, on a CPU; None in older checkpoints
    batch_tokens: int | None = None  # batches.tokens, which says how much `batch` is; None in older checkpoints

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """From the JSON of a checkpoint. Raises ValueError or TypeError if it is anything else."""
        try:
            values: dict[str, Any] = dict(json.loads(data))
        except RecursionError:
            raise ValueError("nested too deeply") from None
        for name in ("best_value", "block"):  # of older checkpoints; an epoch over several blocks restarts in the first
            values.pop(name, None)
        if values.get("cooldown") is not None:
            values["cooldown"] = CooldownPlan(**values["cooldown"])
        return cls(**values)

    @property
    def position(self) -> Position:
        """The next batch."""
        return Position(self.epoch, self.batch)

    @property
    def is_within_epoch(self) -> bool:
        """True if some of the epoch's batches have been trained on."""
        return self.batch > 0
