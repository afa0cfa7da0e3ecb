"""A paper's experiments as data -> run folders -> the paper's table beside ours. `run.py` is the flow."""
