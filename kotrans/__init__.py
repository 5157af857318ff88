"""Train, inspect and use Korean-English recurrent attention models."""

__version__ = "0.1.0"
