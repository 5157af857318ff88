"""Lines of Korean and English text: normalization, sentence splitting, numbers, literals and words.

Pure functions of strings: no torch, no config, no files.
"""
