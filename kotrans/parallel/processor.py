"""Instructions of the processor."""

import re
from pathlib import Path


def multiplies_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Returns whether the CPU has bf16 matrix instructions (AMX or AVX512-BF16); without them bf16 is slower."""
    try:
        flags = re.search(r"^flags\s*:(.*)$", cpuinfo.read_text("utf-8"), re.MULTILINE)
    except OSError:
        return False  # not Linux
    return flags is not None and not {"amx_bf16", "avx512_bf16"}.isdisjoint(flags[1].split())
