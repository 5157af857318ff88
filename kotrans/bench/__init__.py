"""Measuring a config on the machine at hand: training by phase, search, the machine's own peak, memory."""
