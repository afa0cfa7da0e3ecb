"""Pixels -> detect -> classify -> sinks. `reader.py` is the flow; read it first."""
