"""Files and folders that are written completely or not at all, with hashes, locks and limits.

Nothing here knows what the files mean: formats of corpora are in `data`, checkpoints in `runs`.
"""
