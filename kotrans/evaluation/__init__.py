"""Scores of translations: BLEU, chrF, counts of faults, significance, and comparisons of systems.

Nothing here draws; tables and pictures are in `report`.
"""
