"""A trained model as one folder or zip that needs nothing else, and as ONNX graphs."""
