"""The training loop: update, validate, save, stop. It reports by events; how to validate comes in as a function."""
