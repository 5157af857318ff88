"""From corpora to batches: fetching, reading, cleaning, held-out splits, tokenizer, dataset and batching.

`stages` runs the steps and reuses what is up to date. Nothing here knows of models or runs.
"""
