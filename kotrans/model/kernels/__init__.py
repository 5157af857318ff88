"""Faster ways to the same numbers: hand-written backward passes, matrix products and stored weights in fewer bytes.

Each is tested against the plain definition in `model`.
"""
