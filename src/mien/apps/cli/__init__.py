"""The command `mien`: one file for each command, `main.py` gathers them."""
