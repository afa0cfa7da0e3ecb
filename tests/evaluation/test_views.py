from pathlib import Path

import numpy as np
import pytest

from mien.data.faceset import FaceSet
from mien.errors import ModelError
from mien.evaluation.candidates import open_candidate
from mien.evaluation.evaluate import evaluate, predict
from mien.evaluation.views import check_views, views
from mien.preprocess import InputSpec, network_input
from mien.training.run_folder import RunFolder

SPEC = InputSpec(face_px=48, view_px=44, channels=1, mean=(0.0,), std=(1 / 255,))


def test_ten_views_are_the_five_windows_and_their_mirrors() -> None:
    faces = np.random.default_rng(0).integers(0, 256, (3, 48, 48), np.uint8)
    seen = [network_input(view, SPEC)[:, 0] for view in views(faces, SPEC, 10)]
    expected = []
    for down, right in [(2, 2), (0, 0), (0, 4), (4, 0), (4, 4)]:
        window = faces[:, down : down + 44, right : right + 44].astype(np.float32)
        expected += [window, window[:, :, ::-1]]
    np.testing.assert_allclose(seen, expected, atol=1e-3)


def test_colour_keeps_its_channels_when_mirrored() -> None:
    faces = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 3), np.uint8)
    plain, mirrored = views(faces, SPEC, 2)
    np.testing.assert_array_equal(plain, faces)
    np.testing.assert_array_equal(mirrored, faces[:, :, ::-1, :])


def test_a_network_that_sees_the_whole_crop_has_no_corners() -> None:
    whole = InputSpec(face_px=48, view_px=48, channels=1, mean=(0.5,), std=(0.25,))
    with pytest.raises(ModelError, match="Model mine sees the whole face crop, so it has no corners to look at"):
        check_views(10, whole, "Model mine")
    check_views(2, whole, "Model mine")
    assert len(list(views(np.zeros((1, 48, 48), np.uint8), whole, 2))) == 2


def test_probabilities_are_averaged_over_the_views(tiny_run: RunFolder, faceset: FaceSet, faceset_folder: Path) -> None:
    candidate = open_candidate(str(tiny_run.path))
    ask = candidate.ask(1)
    faces = faceset.split("PublicTest")
    by_hand = [ask(view) for view in views(np.asarray(faces.faces_u8), tiny_run.card().input, 10)]
    ten = predict(candidate, faces, 10, lambda what, share: None)
    np.testing.assert_allclose(ten, np.mean(by_hand, axis=0), atol=1e-6)
    assert np.abs(ten - ask(np.asarray(faces.faces_u8))).max() > 1e-3
    judged = evaluate([str(tiny_run.path)], data=faceset_folder, split="PublicTest", view_count=10)
    assert judged.results.setting.views == 10
    np.testing.assert_allclose(judged.probabilities[tiny_run.path.name], ten, atol=1e-6)
