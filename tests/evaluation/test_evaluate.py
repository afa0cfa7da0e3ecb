import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.data.faceset import FaceSet
from mien.errors import DataError, ModelError
from mien.evaluation.evaluate import check_fit, evaluate, open_classifier, predict
from mien.evaluation.metrics import score
from mien.export.onnx import export
from mien.training.run_folder import RunFolder

LABELS = ("a", "b", "c")


def test_scores_counted_by_hand() -> None:
    """Six faces: a a a b b c, called a a b b b b. Nobody is called c."""
    truth = np.array([0, 0, 0, 1, 1, 2])
    called = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 1, 1]]
    found = score(called, truth, LABELS, model="m", data="d", split="s", views=1)
    assert found.accuracy == pytest.approx(4 / 6)
    assert found.standard_error == pytest.approx((4 / 6 * 2 / 6 / 6) ** 0.5)
    assert [c.precision for c in found.classes] == pytest.approx([1, 0.5, 0])
    assert [c.recall for c in found.classes] == pytest.approx([2 / 3, 1, 0])
    assert [c.f1 for c in found.classes] == pytest.approx([0.8, 2 / 3, 0])
    assert [c.support for c in found.classes] == [3, 2, 1]
    assert found.macro_f1 == pytest.approx((0.8 + 2 / 3) / 3)
    assert found.confusion == ((2, 1, 0), (0, 2, 0), (0, 1, 0))


def test_a_run_and_its_exported_file_score_alike(tiny_run: RunFolder, faceset_folder: Path, tmp_path: Path) -> None:
    export(tiny_run, tmp_path / "tiny.onnx")
    of_run = evaluate(str(tiny_run.path), data=faceset_folder, split="PublicTest")
    of_file = evaluate(str(tmp_path / "tiny.onnx"), data=faceset_folder, split="PublicTest")
    assert (of_run.model, of_file.model) == ("tiny-001", "tiny")
    assert replace(of_run, model="tiny") == of_file
    assert of_run.accuracy == pytest.approx(tiny_run.card().score.accuracy)
    assert of_run.n == 35


def test_columns_follow_the_labels_of_the_faces_not_of_the_model(tiny_run: RunFolder, faceset: FaceSet) -> None:
    _, classifier, _ = open_classifier(str(tiny_run.path))
    faces = faceset.split("PublicTest")
    turned = replace(faces, label_names=faces.label_names[::-1])
    plain, other = (predict(classifier, which, 1, lambda share: None) for which in (faces, turned))
    np.testing.assert_array_equal(other, plain[:, ::-1])


def test_a_look_at_privatetest_is_logged(
    tiny_run: RunFolder, faceset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    evaluate(str(tiny_run.path), data=faceset_folder, split="PublicTest")
    assert not Path("results").exists()
    for _ in range(2):
        found = evaluate(str(tiny_run.path), data=faceset_folder, split="PrivateTest")
    with Path("results/private_test_log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert float(rows[0]["accuracy"]) == pytest.approx(found.accuracy, abs=1e-5)
    assert rows[0]["recipe_sha256"] == tiny_run.recipe.sha256()
    assert len(rows[0]["model_sha256"]) == 64


def test_faces_that_do_not_fit_are_refused(tiny_run: RunFolder, faceset: FaceSet, faceset_folder: Path) -> None:
    card = tiny_run.card()
    with pytest.raises(ModelError, match="knows angry, .* evaluate it on faces with the same classes"):
        check_fit(card, replace(faceset, label_names=("a",) * 7))
    with pytest.raises(DataError, match=r"takes faces of \(48, 48\), and drawn has \(40, 40\)"):
        check_fit(card, replace(faceset, faces_u8=faceset.faces_u8[:, :40, :40]))
    with pytest.raises(DataError, match="no split 'Test'"):
        evaluate(str(tiny_run.path), data=faceset_folder, split="Test")


def test_progress_ends_at_one(tiny_run: RunFolder, faceset_folder: Path) -> None:
    shares: list[float] = []
    evaluate(str(tiny_run.path), data=faceset_folder, split="Training", progress=shares.append)
    assert shares[-1] == 1
