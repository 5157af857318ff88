"""Memory that runs out, on any device, as one error with a remedy."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from kotrans.errors import KotransError, TrainingError

# As the CPU, cuDNN and cuBLAS, and MPS say it; CUDA itself has an error of its own.
_OUT_OF_MEMORY = re.compile("can't allocate memory|ALLOC_FAILED|out of memory", re.IGNORECASE)


@contextmanager
def memory_errors(what: str, remedy: str, kind: type[KotransError] = TrainingError) -> Iterator[None]:
    """Inside the block, memory that runs out becomes an error of this kind: what was being done, and what to do."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and not _OUT_OF_MEMORY.search(str(error)):
            raise
        raise kind(f"out of memory ({what}); {remedy}") from None
