from pathlib import Path

import numpy as np
import pytest
import torch

from mien.classifier import Classifier
from mien.data.faceset import FaceSet
from mien.errors import DataError, ExportError, OutputError
from mien.export import onnx as onnx_export
from mien.export.onnx import export
from mien.training.run_folder import RunFolder, TorchClassifier


def test_the_file_answers_as_the_run_does_and_carries_its_card(
    tiny_run: RunFolder, faceset: FaceSet, tmp_path: Path
) -> None:
    difference = export(tiny_run, tmp_path / "tiny.onnx")
    assert difference < 1e-4
    exported = Classifier(tmp_path / "tiny.onnx")
    assert exported.card == tiny_run.card()
    faces = np.asarray(faceset.faces_u8[:9])
    np.testing.assert_allclose(exported.probabilities(faces), TorchClassifier(tiny_run).probabilities(faces), atol=1e-5)


def test_a_file_that_answers_otherwise_is_not_written(
    tiny_run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = onnx_export.to_onnx

    def wrong(network: torch.nn.Module, card: object) -> object:
        with torch.no_grad():
            network.head.weight[0, 0] += 0.01  # type: ignore[union-attr, operator, index]
        model = honest(network, card)  # type: ignore[arg-type]
        with torch.no_grad():
            network.head.weight[0, 0] -= 0.01  # type: ignore[union-attr, operator, index]
        return model

    monkeypatch.setattr(onnx_export, "to_onnx", wrong)
    with pytest.raises(ExportError, match="nothing was written"):
        export(tiny_run, tmp_path / "tiny.onnx")
    assert [path.name for path in tmp_path.iterdir()] == []


def test_a_place_that_cannot_be_written_is_said_before_the_work(tiny_run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist"):
        export(tiny_run, tmp_path / "no" / "tiny.onnx")


def test_faces_for_the_check_that_are_gone(tiny_run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a FaceSet"):
        export(tiny_run, tmp_path / "tiny.onnx", data=tmp_path)
