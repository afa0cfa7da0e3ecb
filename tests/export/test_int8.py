from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from mien.classifier import Classifier
from mien.data.faceset import FaceSet, identified, open_faceset
from mien.data.split import divide
from mien.errors import DataError, ExportError, ModelError, OutputError
from mien.export import int8
from mien.export.int8 import CALIBRATION_FACES, Quantised, calibration_faces, export_int8
from mien.export.onnx import export
from mien.training.calibration import expected_calibration_error
from mien.training.run_folder import RunFolder


@pytest.fixture(scope="module")
def files(tiny_run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Quantised]:
    """The tiny run with 32 bits and with 8, and what was found."""
    folder = tmp_path_factory.mktemp("exported")
    export(tiny_run, folder / "tiny.onnx")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(int8, "MOST_LOST", 0.1)  # one face more or less is 2.9 points of 35
        found = export_int8(str(tiny_run.path), folder / "tiny-int8.onnx")
    return folder / "tiny.onnx", folder / "tiny-int8.onnx", found


def test_it_answers_almost_as_with_32_bits(files: tuple[Path, Path, Quantised], faceset: FaceSet) -> None:
    fp32, eight, found = files
    faces = faceset.split("PublicTest")
    logits = [Classifier(file).logits(np.asarray(faces.faces_u8)) for file in (fp32, eight)]
    assert np.abs(logits[0] - logits[1]).max() > 1e-4, "it is not the same file"
    assert np.abs(logits[0] - logits[1]).mean() < 0.1 * logits[0].std()
    accuracies = [(of.argmax(1) == faces.labels).mean() for of in logits]
    assert (found.split, found.n) == ("PublicTest", 35)
    assert [found.fp32, found.int8] == pytest.approx(accuracies)


def test_convolutions_have_bytes_and_the_last_layer_floats(files: tuple[Path, Path, Quantised]) -> None:
    graph = onnx.load(files[1]).graph
    made_by = {output: node for node in graph.node for output in node.output}
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 4
    for node in convolutions:
        weights = made_by[node.input[1]]
        assert weights.op_type == "DequantizeLinear"
        assert kinds[weights.input[0]] == onnx.TensorProto.INT8
        assert np.abs(values[weights.input[0]].astype(int)).max() <= 64, "without VNNI more would clip"
    (head,) = [node for node in graph.node if node.op_type in ("Gemm", "MatMul")]
    assert kinds[head.input[1]] == onnx.TensorProto.FLOAT


def test_the_card_is_its_own(files: tuple[Path, Path, Quantised], faceset: FaceSet) -> None:
    before, after = (Classifier(file).card for file in files[:2])
    assert (after.name, after.labels, after.provenance) == ("tiny-int8", before.labels, before.provenance)
    faces = faceset.split("PublicTest")
    probabilities = Classifier(files[1]).probabilities(np.asarray(faces.faces_u8))
    assert after.score.accuracy == pytest.approx((probabilities.argmax(1) == faces.labels).mean())
    assert after.calibration is not None
    assert before.calibration is not None
    assert after.calibration.temperature != before.calibration.temperature
    assert after.calibration.ece_after == pytest.approx(expected_calibration_error(probabilities, faces.labels))
    assert after.calibration.coverage == pytest.approx(before.calibration.coverage, abs=1 / 35 + 1e-9)


def test_an_exported_file_becomes_the_same_as_its_run(
    files: tuple[Path, Path, Quantised], faceset_folder: Path, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(int8, "MOST_LOST", 0.1)
        export_int8(str(files[0]), tmp_path / "again.onnx", data=faceset_folder)
    assert Classifier(tmp_path / "again.onnx").card == Classifier(files[1]).card
    assert (tmp_path / "again.onnx").stat().st_size == files[1].stat().st_size


def test_ranges_are_measured_on_training_faces_alone(faceset: FaceSet) -> None:
    drawn = calibration_faces(faceset)
    np.testing.assert_array_equal(drawn, calibration_faces(faceset))
    training = {face.tobytes() for face in faceset.split("Training").faces_u8}
    assert len(drawn) == min(CALIBRATION_FACES, len(training))
    assert {face.tobytes() for face in drawn} <= training
    with pytest.raises(DataError, match="no split Training or train to measure ranges on; it has a, b, c"):
        calibration_faces(
            FaceSet(**{name: getattr(faceset, name) for name in FaceSet.__slots__} | {"split_names": tuple("abc")})
        )


def test_a_file_that_loses_too_much_is_not_written(
    files: tuple[Path, Path, Quantised], faceset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "MOST_LOST", -0.1)
    with pytest.raises(
        ExportError, match="it may lose -10.0 points at most; nothing was written, so stay with 32 bits"
    ):
        export_int8(str(files[0]), tmp_path / "x.onnx", data=faceset_folder)
    assert list(tmp_path.iterdir()) == []


def test_the_faces_must_be_those_that_the_card_names(
    files: tuple[Path, Path, Quantised], faceset: FaceSet, faceset_folder: Path, tmp_path: Path
) -> None:
    """Else the new card would say of FER2013's PublicTest what was measured on another set's."""
    divide(faceset, {"Training": 0.7, "PublicTest": 0.3}).save(tmp_path / "anew.faceset")
    fewer = faceset.take(np.flatnonzero(faceset.labels != 1))
    names = tuple(name for k, name in enumerate(faceset.label_names) if k != 1)
    labels = np.array([names.index(faceset.label_names[label]) for label in fewer.labels], np.int8)
    identified(replace(fewer, labels=labels, label_names=names)).save(tmp_path / "fewer.faceset")
    for source, data in (
        ("mien-xs", faceset_folder),
        (str(files[0]), tmp_path / "anew.faceset"),
        (str(files[0]), tmp_path / "fewer.faceset"),
    ):
        with pytest.raises(DataError, match="was calibrated and scored on .* other faces, splits or classes"):
            export_int8(source, tmp_path / "x.onnx", data=data)
    assert not (tmp_path / "x.onnx").exists()


def test_what_cannot_be_made_smaller_is_said(
    files: tuple[Path, Path, Quantised], faceset_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match="has 8 bits already"):
        export_int8(str(files[1]), tmp_path / "x.onnx", data=faceset_folder)
    with pytest.raises(ExportError, match="name their FaceSet with --data"):
        export_int8(str(files[0]), tmp_path / "x.onnx")
    with pytest.raises(OutputError, match="it is the model of 32 bits itself; give another name"):
        export_int8(str(files[0]), files[0], data=faceset_folder)
    with pytest.raises(ModelError, match="There is no model file or run"):
        export_int8(str(tmp_path / "y.onnx"), tmp_path / "x.onnx", data=faceset_folder)
    assert list(tmp_path.iterdir()) == []


def test_the_bundled_model_keeps_its_accuracy_with_8_bits(fer2013_folder: Path, tmp_path: Path) -> None:
    found = export_int8("mien-s", tmp_path / "mien-s-int8.onnx", data=fer2013_folder)
    assert found.fp32 == pytest.approx(Classifier("mien-s").card.score.accuracy, abs=2 / found.n)
    assert (tmp_path / "mien-s-int8.onnx").stat().st_size < 0.3 * Classifier("mien-s").path.stat().st_size
    faces = open_faceset(fer2013_folder).split("PublicTest")
    eight = Classifier(tmp_path / "mien-s-int8.onnx", threads=2)
    right = eight.probabilities(np.asarray(faces.faces_u8)).argmax(1) == faces.labels
    assert right.mean() == pytest.approx(found.int8)
