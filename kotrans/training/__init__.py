"""The training loop, one update, the optimizer, validation, resuming, and the log of metrics.

Validation comes to the loop as a function, so that the loop does not know of search.
"""
