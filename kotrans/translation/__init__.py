"""From text to text: split, encode, search, copy literals of the source, join.

`model_loading` finds models by name; `translator` loads them and translates batches of lines. `continuous_batching` and
`multiprocess` run the same search for a stream of requests and for long files.
"""
