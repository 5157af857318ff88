"""The typed config: sections with every default, loading from YAML, and the generated reference.

The only place where a default is written. Nothing here imports torch.
"""
