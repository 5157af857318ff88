"""The progress of a training run, as stored in its checkpoints."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from kotrans.data.dataset import Position
from kotrans.runs.schedule import CooldownPlan


@dataclass(frozen=True)
class Progress:
    """State of training after an update; with the tensors of a checkpoint, everything that resuming needs."""

    update: int = 0
    position: Position = field(default_factory=Position)  # of the next batch
    target_tokens: int = 0
    minutes: float = 0.0
    best_update: int | None = None
    best_bleu: float | None = None
    best_perplexity: float | None = None
    best_measured: str | None = None  # hash of the settings that the best was measured with; None in older checkpoints
    stale_validations: int = 0  # validations without improvement
    validation_due: bool = False  # a stop came before the validation of this update
    rate_factor: float = 1.0  # factor of the learning rate from the `plateau` schedule
    stale_at_rate: int = 0  # validations without improvement since that factor last changed
    cooldown: CooldownPlan | None = None  # set when the cooldown begins, if a time limit ends training
    ranks: int = 1  # processes that train together
    threads: int | None = None  # CPU threads per process that share a batch; None in older checkpoints
    batch_tokens: int | None = None  # batches.tokens, the unit of `position.batch`; None in older checkpoints

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Reads progress.json. Raises ValueError or TypeError if it is anything else."""
        try:
            values: dict[str, Any] = dict(json.loads(data))
        except RecursionError:
            raise ValueError("nested too deeply") from None
        if values.get("cooldown") is not None:
            values["cooldown"] = CooldownPlan(**values["cooldown"])
        position = {name: values.pop(name) for name in asdict(Position()) if name in values}
        for name in ("best_value", "block"):  # of older checkpoints; an epoch over several blocks restarts in the first
            values.pop(name, None)
        return cls(position=Position(**position), **values)

    @property
    def epochs_started(self) -> int:
        """Number of the epoch that the last batch belongs to, counted from 1."""
        return self.position.epoch + (self.position != Position(self.position.epoch))

    def as_dict(self) -> dict[str, Any]:
        """Returns the content of progress.json, in which the fields of the position are at the top level."""
        values = asdict(self)
        return {"update": self.update, **values.pop("position"), **values}
