"""The command line: parse, call one pipeline function, print its result. Torch is imported only by what needs it."""

import os

# All set before torch is imported. Threads that share an operation (in translation; training deals out its batches)
# wait for each other at its end. libgomp lets them spin for some 300,000 rounds, and where another process has taken a
# core they burn the time of the one that works: a quarter of the speed was left with one of two cores taken. Threads
# that sleep at once keep half there, but lose a quarter to a half on an idle machine. So many rounds keep two fifths
# there and all but some hundredths of the speed on an idle machine.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
# oneDNN keeps the code it made for each shape of a product, megabytes each in bf16. kotrans/model/kernels/products.py gives the
# large products few shapes, but batches have hundreds of others, so that the default of 1,024 grows to gigabytes; 128
# make the same code over and over again.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "256")
os.environ.setdefault("LRU_CACHE_CAPACITY", "256")

from kotrans.cli.app import main

__all__ = ["main"]
