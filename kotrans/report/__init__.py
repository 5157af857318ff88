"""Output for people: heat maps, curves, text tables, and files of attention weights.

Everything here takes results and returns text or writes files; nothing is computed with models.
"""
