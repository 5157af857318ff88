"""Run folders and checkpoints: finding, locking, writing, reading and averaging them.

Training and translation live in other packages.
"""
