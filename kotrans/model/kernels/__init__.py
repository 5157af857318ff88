"""Faster implementations of the equations: hand-written backward passes, matrix products, weights in fewer bytes.

Each is tested against the plain definition in `model`.
"""
