"""What training calls its checkpoints: update-00000500, and update-00000500-before-validation."""

import re

_BEFORE_VALIDATION = "-before-validation"
_NAME = re.compile(rf"update-(\d+)({_BEFORE_VALIDATION})?")


def checkpoint_name(update: int, *, validation_due: bool = False) -> str:
    """The name of an update's checkpoint. One whose validation is due gives way to the one after the validation."""
    return f"update-{update:08d}" + (_BEFORE_VALIDATION if validation_due else "")


def update_of(name: str) -> int:
    """The update that a checkpoint is named after; -1 for one of another name."""
    found = _NAME.fullmatch(name)
    return int(found[1]) if found else -1


def gives_way_to(name: str, other: str) -> bool:
    """Whether a checkpoint is no longer needed once another one is there."""
    return name.removesuffix(_BEFORE_VALIDATION) == other
