"""CPU cores, devices, threads, processes, ranks of distributed training, and signals.

Independent of the work that is done: no corpora, no models.
"""
