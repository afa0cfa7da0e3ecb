"""Small studies of the tiny net on drawn faces."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mien.studies.engine import LocalEngine
from mien.studies.folder import StudyFolder, begin
from mien.studies.run import run_study
from mien.studies.study import Study
from tests.small_study import small_study


@pytest.fixture(scope="session")
def make_study(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Study]:
    """Return the small study, its keys changed as said."""
    base = tmp_path_factory.mktemp("recipes") / "tiny.yaml"

    def make(**changes: Any) -> Study:
        return small_study(base, **changes)

    return make


@pytest.fixture(scope="session")
def done(
    make_study: Callable[..., Study], faceset_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> StudyFolder:
    """The small study, carried out."""
    folder = begin(tmp_path_factory.mktemp("studies") / "small", make_study(), data=faceset_folder)
    assert run_study(folder, engine=LocalEngine()) == []
    return folder
