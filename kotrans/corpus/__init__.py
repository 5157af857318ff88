"""Parallel text: listed corpora and own files, read, held out, cleaned."""
