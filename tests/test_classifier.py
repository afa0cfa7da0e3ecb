import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from mien.classifier import Classifier, softmax
from mien.data.faceset import open_faceset
from mien.errors import InputError, ModelError
from mien.labels import EXPRESSIONS


def test_probabilities_are_shares_that_sum_to_one() -> None:
    faces = np.random.default_rng(0).integers(0, 256, (5, 48, 48), np.uint8)
    probabilities = Classifier().probabilities(faces)
    assert probabilities.shape == (5, len(EXPRESSIONS))
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)
    assert (probabilities >= 0).all()


def test_no_face_gives_no_row() -> None:
    assert Classifier().probabilities(np.empty((0,), np.uint8)).shape == (0, 7)


def test_a_face_alone_and_in_a_batch_reads_the_same() -> None:
    faces = np.random.default_rng(0).integers(0, 256, (9, 48, 48), np.uint8)
    model = Classifier()
    alone = np.concatenate([model.logits(face[None]) for face in faces])
    np.testing.assert_allclose(alone, model.logits(faces), atol=1e-4)


def test_temperature_softens() -> None:
    logits = np.array([[1.0, 3.0, 2.0]], np.float32)
    np.testing.assert_allclose(softmax(logits), np.exp(logits) / np.exp(logits).sum(), rtol=1e-6)
    assert softmax(logits, 2.0).max() < softmax(logits).max()


def test_the_bundled_model_is_calibrated_and_says_where_it_comes_from() -> None:
    card = Classifier().card
    assert card.labels == EXPRESSIONS
    assert card.calibration is not None
    assert (
        card.calibration.ece_after < card.calibration.ece_before + 0.01
    )  # of 3,589 faces it is known to a point or so
    assert card.calibration.ece_after < 0.05
    assert len(card.provenance.commit) == 40, "trained from committed code"
    assert "Art. 5(1)(f)" in card.limits


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(b"nothing")
    with pytest.raises(ModelError, match="not an ONNX model"):
        Classifier(path)


def test_a_model_without_a_card(tmp_path: Path) -> None:
    model = onnx.load(Classifier().path)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "x.onnx")
    with pytest.raises(ModelError, match="no mien card"):
        Classifier(tmp_path / "x.onnx")


def test_the_bundled_model_does_on_publictest_what_its_card_says(fer2013_folder: Path) -> None:
    model = Classifier(threads=2)
    faces = open_faceset(fer2013_folder).split("PublicTest")
    right = model.probabilities(np.asarray(faces.faces_u8)).argmax(1) == faces.labels
    assert right.mean() == pytest.approx(model.card.score.accuracy, abs=2 / len(faces))


@pytest.mark.parametrize(
    ("faces", "got"),
    [
        (np.zeros((2, 64, 64), np.uint8), r"uint8 \(2, 64, 64\)"),
        (np.zeros((2, 48, 48), np.float32), r"float32 \(2, 48, 48\)"),
        (np.zeros((2, 48, 48, 3), np.uint8), r"uint8 \(2, 48, 48, 3\)"),
        (np.zeros((48, 48), np.uint8), r"uint8 \(48, 48\)"),
    ],
)
def test_faces_of_another_kind_are_refused(faces: np.ndarray, got: str) -> None:
    with pytest.raises(InputError, match=rf"takes uint8 faces of shape \(N, 48, 48\).*got {got}\."):
        Classifier("mien-xs").probabilities(faces)


def test_nothing_is_told_to_microsoft(astronaut: Path, tmp_path: Path) -> None:
    """Their builds of onnxruntime keep an identifier and a queue of reports in the home folder, and send them."""
    environment = {k: v for k, v in os.environ.items() if k not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")}
    code = f"import mien; print(len(mien.read({str(astronaut)!r}, detector='haar')))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "1\n"
    assert list(tmp_path.rglob("*")) == []
