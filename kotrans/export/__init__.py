"""Exports a model as one folder or zip file, with a card and optional ONNX graphs. Only `cli` imports it."""
