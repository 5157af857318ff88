"""The decoder one step at a time, for inference: packed weights, cached encoder outputs, no gradients."""
