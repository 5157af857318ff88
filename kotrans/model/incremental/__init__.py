"""The decoder one step at a time, for search without gradients: packed weights, cached encoder outputs, row index."""
