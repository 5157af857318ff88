"""Scores of translations: BLEU, chrF, counts of faults, significance, and comparisons of systems.

Results are plain data; tables and pictures of them are in `report`.
"""
