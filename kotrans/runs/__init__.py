"""Run folders and checkpoints: finding, locking, writing, reading and averaging them.

Nothing here trains or translates.
"""
