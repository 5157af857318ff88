"""The equations of docs/model.md as PyTorch modules: embeddings, encoder, attention, decoder, output and loss.

Modules take plain numbers; only `build` reads the config. `kernels` holds faster implementations of the same equations,
`incremental` the decoder one step at a time, for search.
"""
