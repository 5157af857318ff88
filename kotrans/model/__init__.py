"""The network: attention, cells, encoder, decoder, and all of them together.

Data flows attention, cells -> recurrence -> encoder, decoder -> seq2seq -> build; plain numbers in, tensors out.
"""
