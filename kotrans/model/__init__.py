"""The equations of docs/model.md as PyTorch modules: embeddings, encoder, attention, decoder, output and loss.

Modules take plain numbers; only `build` reads the config. Faster ways to the same numbers are in `kernels`, single
steps for search in `incremental`.
"""
