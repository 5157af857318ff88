"""Measurements of training and translation speed, with or without a corpus, and their table. Only `cli` imports it."""
