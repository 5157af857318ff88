"""The command line: parse, call one pipeline function, print its result. Torch is imported only by what needs it."""

import os

# Set before torch is imported. Threads that wait for each other by spinning are fastest alone, but where another
# process takes a core they burn the time of the one that works.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from kotrans.cli.app import main

__all__ = ["main"]
