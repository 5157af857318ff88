"""Files and folders: all-or-nothing writes, hashes, locks, compressed text and size limits.

The meaning of the files is defined elsewhere: corpus formats in `data`, checkpoints in `runs`.
"""
