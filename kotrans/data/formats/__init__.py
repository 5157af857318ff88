"""Readers of parallel text, one module per file format.

Each yields pairs and counts the records that it skips by reason.
"""
