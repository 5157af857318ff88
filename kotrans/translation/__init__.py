"""From text to text: split, encode, search, copy literals of the source, join.

`model_loading` turns runs and exports into a translator; `translator`, `continuous_batching` and `multiprocess` are
three ways to feed one search.
"""
