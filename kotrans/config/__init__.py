"""The typed config: sections with all defaults, loading from YAML, and the generated reference.

Defaults are defined only here. No torch.
"""
