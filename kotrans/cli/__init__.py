"""The command line: parse, call one pipeline function, print its result. Torch is imported only by what needs it."""

import os

# All set before torch is imported. Threads that share an operation (in translation; training deals out its batches)
# wait for each other at its end. libgomp lets them spin for some 300,000 rounds, and where another process has taken a
# core they burn the time of the one that works: a quarter of the speed was left with one of two cores taken. Threads
# that sleep at once keep half there, but lose a quarter to a half on an idle machine. So many rounds keep two fifths
# there and all but some hundredths of the speed on an idle machine.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
# oneDNN caches the code that it generates for each shape of a product, megabytes each in bf16. The large products have
# few shapes (model/kernels/products.py), batches have hundreds: the default of 1,024 entries grows to gigabytes, and
# 128 are generated again and again.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "256")
os.environ.setdefault("LRU_CACHE_CAPACITY", "256")

from kotrans.cli.app import main

__all__ = ["main"]
