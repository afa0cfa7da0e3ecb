"""Small studies of the tiny net on drawn faces."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from mien.studies.engine import LocalEngine
from mien.studies.folder import StudyFolder, begin
from mien.studies.run import run_study
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


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe that the small studies start from."""
    path = tmp_path_factory.mktemp("recipes") / "tiny.yaml"
    path.write_text(BASE)
    return path


@pytest.fixture(scope="session")
def make_study(base: Path) -> Callable[..., Study]:
    """Return the small study, its keys changed as said."""

    def make(**changes: Any) -> Study:
        return as_study({**yaml.safe_load(STUDY), "base": str(base), **changes}, Path("small.yaml"))

    return make


@pytest.fixture(scope="session")
def done(
    make_study: Callable[..., Study], faceset_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> StudyFolder:
    """The small study, carried out."""
    folder = begin(tmp_path_factory.mktemp("studies") / "small", make_study(), data=faceset_folder)
    assert run_study(folder, engine=LocalEngine()) == []
    return folder
