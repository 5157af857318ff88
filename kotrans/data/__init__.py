"""From corpora to batches: fetching, reading, cleaning, held-out splits, tokenizer, dataset and batching.

`stages` runs the steps and reuses results that are up to date. Nothing here depends on models or runs.
"""
