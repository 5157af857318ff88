"""The command line: each command parses its options, calls one function and prints. Torch is imported only on use."""

import os

# Read by libraries when torch is imported. GOMP_SPINCOUNT: threads of a parallel region spin while they wait for each
# other; with libgomp's default they take the time of a busy core, and without spinning an idle machine is slower.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
# oneDNN caches generated code for each shape of a product: the default of 1,024 entries grows to gigabytes, because
# batches have hundreds of shapes, and a cache of 128 entries is too small to be hit.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "256")
os.environ.setdefault("LRU_CACHE_CAPACITY", "256")

from kotrans.cli.app import main

__all__ = ["main"]
