"""The training loop, one update, divergence checks, validation, resuming, and the metrics log.

The loop receives validation as a function, so that it does not depend on search.
"""
