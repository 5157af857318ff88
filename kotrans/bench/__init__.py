"""Measurements of speed: clocks, profiles, paired runs and their tables. Only `cli` imports it."""
