"""The example that makes clips of near-twins: divided by frame they leak, divided by clip they do not."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mien.data.description import describe
from mien.data.faceset import open_faceset
from mien.studies.folder import begin
from mien.studies.study import load_study
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def clips() -> ModuleType:
    """The example as a module."""
    spec = importlib.util.spec_from_file_location("clips", ROOT / "examples" / "clips.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_two_sets_differ_in_the_leak_alone(
    clips: ModuleType, faceset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clips, "PRODUCTION", (1, 1, 1, 1, 5, 3))
    clips.main(faceset_folder, tmp_path / "out", clips=60)
    by_frame, by_clip = (open_faceset(tmp_path / "out" / f"{name}.faceset") for name in ("by-frame", "by-clip"))
    learnt = ("train", "validation")
    for faces, leaks in ((by_frame, True), (by_clip, False)):
        assert faces.split_names == ("train", "validation", "test", "production")
        assert faces.faces_u8.shape[1:] == (96, 96, 3)
        assert bool(describe(faces).divided[learnt]) == leaks
        assert describe(faces).divided[("train", "production")] == 0
        counts = np.bincount(faces.split("production").labels)
        assert counts.tolist() == [5, 5, 5, 5, 25, 15]
    assert len(by_frame) == len(by_clip)
    folder = begin(tmp_path / "jawade", load_study("jawade"), data=tmp_path / "out" / "by-clip.faceset")
    assert folder.faceset_path.name == "by-clip.faceset", "it has the splits, so nothing is divided"
