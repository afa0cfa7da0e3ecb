"""What an evaluation found -> a folder: evaluation.json, predictions.parquet and report.html; see `write.py`."""
