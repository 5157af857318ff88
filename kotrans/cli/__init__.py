"""The command line: parse, call one pipeline function, print its result. Torch is imported only by what needs it."""

import os

# Set before torch is imported. Threads that wait for each other by spinning are fastest alone, but where another
# process takes a core they burn the time of the one that works.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# oneDNN keeps the code it made for each shape of a product, megabytes each in bf16. Batches have hundreds of shapes,
# so that its default of 1,024 grows to gigabytes.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
os.environ.setdefault("LRU_CACHE_CAPACITY", "128")

from kotrans.cli.app import main

__all__ = ["main"]
