"""Readers of parallel text, one module per file format.

Each reader yields pairs, and counts skipped records by reason.
"""
