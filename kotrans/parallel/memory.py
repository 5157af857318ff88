"""Errors of exhausted memory, of any device and library."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from kotrans.errors import KotransError, TrainingError

# Messages of PyTorch's CPU allocator, cuDNN and cuBLAS, MPS, and onnxruntime. CUDA has an exception type of its own.
_OUT_OF_MEMORY = re.compile("can't allocate memory|ALLOC_FAILED|out of memory|Failed to allocate memory", re.IGNORECASE)


@contextmanager
def memory_errors(what: str, remedy: str, kind: type[KotransError] = TrainingError) -> Iterator[None]:
    """Inside the block, exhausted memory of any device becomes an error of this type.

    what: the operation, for the message. remedy: what to do, for the message.
    """
    try:
        yield
    except Exception as error:  # onnxruntime has types of its own
        if not is_out_of_memory(error):
            raise
        raise kind(f"out of memory ({what}); {remedy}") from None


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether the error says that memory is exhausted."""
    torch = sys.modules.get("torch")  # if it was never imported, the error is not its own
    own = (MemoryError,) if torch is None else (MemoryError, torch.OutOfMemoryError)
    return isinstance(error, own) or bool(_OUT_OF_MEMORY.search(str(error)))
