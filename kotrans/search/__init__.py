"""Beam search and greedy search over the `Stepper` protocol.

Nothing here imports the model: the tests search in lookup tables.
"""
