"""Beam search and forced decoding over the `Stepper` protocol.

Nothing here imports the model: the tests search in lookup tables.
"""
