"""Lines of Korean and English text: normalization, sentences, numbers, literals and words.

Pure functions of strings. Nothing here imports torch, reads a config or touches a file.
"""
