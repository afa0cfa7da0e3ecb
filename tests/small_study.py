"""A small study of the tiny net on drawn faces, which the tests of studies and of clusters carry out."""

from pathlib import Path
from typing import Any

import yaml

from mien.studies.study import Study, as_study

BASE = """
network: mien-tiny
name: tiny
about: The tiny net on drawn faces.
epochs: 4
batch_size: 35
precision: fp32
ema_decay: 0.9
augmentation: {flip: none}
optimiser: {name: sgd, lr: 0.05}
schedule: {name: constant, warmup: 0}
"""
STUDY = """
name: small
about: Two trainings and a table.
paper: Nobody, "Nothing", Table 1
variants:
  slow: {set: {optimiser.lr: 0.01}}
  fast: {}
protocol: [Drawn faces stand for photographed ones.]
tables:
  - title: Table 1
    columns: [{name: Test, measure: accuracy, n: 100}]
    rows:
      - {name: slow, run: slow, printed: 50%}
      - {name: half of fast, run: fast, epochs: 2, printed: 50%}
      - {name: fast, run: fast, printed: 99.0%}
comparisons: [{says: Fast is better., first: slow, second: fast}]
"""


def small_study(base: Path, **changes: Any) -> Study:
    """Return the small study on a base recipe that is written to `base`, its keys changed as said."""
    base.write_text(BASE)
    return as_study({**yaml.safe_load(STUDY), "base": str(base), **changes}, Path("small.yaml"))
