"""A run folder or a model file, and a FaceSet -> numbers. `evaluate.py` is the flow."""
