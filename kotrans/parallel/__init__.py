"""Processor cores, devices, threads, processes and ranks, and what happens when they are interrupted.

Nothing here knows what the work is: no corpora, no models.
"""
