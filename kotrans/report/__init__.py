"""What people look at: heat maps, curves and text tables.

Everything here takes results and returns text or writes a picture; nothing is computed from models.
"""
