"""A recipe and a FaceSet -> a run folder. `train.py` is the flow; read it first."""
