"""Each condition does to a face what its name says, and the same to whoever asks."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from mien.data.faceset import FaceSet
from mien.evaluation.candidates import open_candidate
from mien.evaluation.evaluate import evaluate, predict
from mien.evaluation.stress import (
    BLUR,
    CONDITIONS,
    JITTER,
    JPEG_QUALITY,
    LIGHT,
    NOISE,
    SEED,
    SMALL_PX,
    Condition,
    jittered,
    noisy,
    shrunk,
    tilted,
)
from mien.training.run_folder import RunFolder
from tests.conftest import drawn_faces

EYES, MOUTH = [(15, 18), (32, 18)], (24, 36)  # x, y in a crop of 48 pixels, as FER2013 has them
NAMES = [condition.name for condition in CONDITIONS]


def _random() -> np.random.Generator:
    return np.random.default_rng(SEED)


def _condition(name: str) -> Condition:
    return CONDITIONS[NAMES.index(name)]


def _under(name: str, faces_u8: np.ndarray) -> np.ndarray:
    return _condition(name).change(faces_u8, _random()).astype(int)


@pytest.fixture(scope="module")
def faces_u8() -> np.ndarray:
    """Nine smooth faces: noise of a few pixels' width."""
    noise = np.random.default_rng(1).normal(128, 60, (9, 48, 48))
    return np.asarray(ndimage.gaussian_filter(noise, (0, 2, 2)) * 4 - 384).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("condition", CONDITIONS, ids=NAMES)
def test_a_condition_gives_faces_like_those_it_got_and_leaves_those_alone(
    condition: Condition, faces_u8: np.ndarray
) -> None:
    before = faces_u8.copy()
    changed = condition.change(faces_u8, _random())
    assert (changed.shape, changed.dtype) == (faces_u8.shape, np.uint8)
    assert (changed != faces_u8).mean() > 0.05
    np.testing.assert_array_equal(faces_u8, before)


@pytest.mark.parametrize("condition", CONDITIONS, ids=NAMES)
def test_every_model_sees_the_same_faces_whatever_the_batches(condition: Condition, faces_u8: np.ndarray) -> None:
    whole, random = condition.change(faces_u8, _random()), _random()
    parts = [condition.change(faces_u8[rows], random) for rows in (slice(0, 4), slice(4, 5), slice(5, None))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "noise"])  # noise differs from channel to channel
def test_a_grey_face_stored_in_colour_is_changed_alike(name: str, faces_u8: np.ndarray) -> None:
    coloured = _under(name, np.repeat(faces_u8[..., None], 3, axis=-1))
    np.testing.assert_allclose(coloured, np.repeat(_under(name, faces_u8)[..., None], 3, axis=-1), atol=2)


@pytest.mark.parametrize("name", ["JPEG", "tilt", "box jitter"])
def test_colours_keep_their_places(name: str) -> None:
    red = np.zeros((1, 48, 48, 3), np.uint8)
    red[..., 0] = 200
    assert np.abs(_under(name, red) - red.astype(int)).max() < 10


def test_jpeg_is_that_of_pillow(faces_u8: np.ndarray) -> None:
    file = io.BytesIO()
    Image.fromarray(faces_u8[0]).save(file, "JPEG", quality=JPEG_QUALITY)
    assert np.abs(_under("JPEG", faces_u8)[0] - np.asarray(Image.open(file)).astype(int)).mean() < 1


def test_blur_is_that_of_scipy() -> None:
    faces = drawn_faces([0, 3])
    slow = ndimage.gaussian_filter(faces.astype(float), (0, BLUR * 48, BLUR * 48), mode="nearest")
    assert np.abs(_under("blur", faces) - slow).max() < 3


def test_noise_has_the_deviation_it_promises() -> None:
    grey = np.full((20, 48, 48), 128, np.uint8)
    changed = noisy(grey, _random()).astype(float)
    assert changed.std() == pytest.approx(255 * NOISE, rel=0.02)
    assert changed.mean() == pytest.approx(128, abs=0.5)


def test_a_tenth_of_the_light_at_the_gamma_of_screens() -> None:
    grey = np.arange(256, dtype=np.uint8).repeat(9).reshape(1, 48, 48)
    expected = 255 * ((grey / 255) ** 2.2 / 10) ** (1 / 2.2)
    assert np.abs(_under("darkness", grey) - expected).max() <= 0.5 + 1e-3
    assert pytest.approx(0.351, abs=1e-3) == LIGHT


def test_a_tilted_head_has_its_points_on_a_circle() -> None:
    """A bright dot to the right of the centre turns by 20 degrees, up in some faces and down in the others."""
    faces = np.zeros((40, 48, 48), np.uint8)
    faces[:, 22:26, 38:42] = 255  # around (39.5, 23.5), 16 pixels from the centre
    angles = []
    for face in tilted(faces, _random()):
        y, x = ndimage.center_of_mass(face)
        assert np.hypot(x - 23.5, y - 23.5) == pytest.approx(16, abs=0.3)
        angles.append(np.degrees(np.arctan2(y - 23.5, x - 23.5)))
    assert {round(angle / 20) for angle in angles} == {-1, 1}
    np.testing.assert_allclose(np.abs(angles), 20, atol=1)


def test_a_jittered_box_is_cut_from_the_crop_with_its_border_going_on(faces_u8: np.ndarray) -> None:
    """The slow way: the crop in a frame of its own border, a square cut out of it, resized."""
    reach = 24
    draws = _random().uniform(-JITTER, JITTER, (len(faces_u8), 3))
    for face, changed, (right, down, larger) in zip(faces_u8, jittered(faces_u8, _random()), draws, strict=True):
        framed = np.pad(face, reach, mode="edge")
        side = round(48 * (1 + larger))
        left = reach + round(24 + 48 * right - 24 * (1 + larger))
        top = reach + round(24 + 48 * down - 24 * (1 + larger))
        square = framed[top : top + side, left : left + side]
        how = cv2.INTER_AREA if side > 48 else cv2.INTER_LINEAR
        np.testing.assert_array_equal(changed, cv2.resize(square, (48, 48), interpolation=how))
    assert np.abs(draws).max() > 0.1


def test_a_small_face_keeps_the_means_of_its_squares_only() -> None:
    """A chessboard of single pixels is all grey at half the size."""
    chess = (255 * (np.indices((48, 48)).sum(0) % 2)).astype(np.uint8)[None]
    assert SMALL_PX == 24
    assert set(np.unique(shrunk(chess, _random())).tolist()) <= {127, 128}


@pytest.mark.parametrize(("name", "covered", "bare"), [("sunglasses", EYES, [MOUTH]), ("mask", [MOUTH], EYES)])
def test_a_cover_hides_what_it_should_and_nothing_else(
    name: str, covered: list[tuple[int, int]], bare: list[tuple[int, int]]
) -> None:
    dark, bright = (
        _under(name, np.zeros((1, 48, 48), np.uint8))[0],
        _under(name, np.full((1, 48, 48), 255, np.uint8))[0],
    )
    for x, y in covered:
        assert dark[y, x] == bright[y, x]
    for x, y in (*bare, (1, 1), (46, 1)):
        assert (dark[y, x], bright[y, x]) == (0, 255)


def test_what_is_lost_is_the_difference_on_the_same_faces(
    tiny_run: RunFolder, faceset: FaceSet, faceset_folder: Path
) -> None:
    judged = evaluate([str(tiny_run.path)], data=faceset_folder, split="PublicTest", stressed=True)
    (one,) = judged.results.models
    assert [under.score.name for under in one.stress] == NAMES
    faces, candidate = faceset.split("PublicTest"), open_candidate(str(tiny_run.path))
    for under, condition in zip(one.stress, CONDITIONS, strict=True):
        changed = condition.change(np.asarray(faces.faces_u8), _random())
        accuracy = (candidate.ask(1)(changed).argmax(1) == faces.labels).mean()
        assert under.score.accuracy == pytest.approx(accuracy)
        assert under.gain.value == pytest.approx(accuracy - one.evaluation.accuracy)
        assert under.gain.low <= under.gain.value <= under.gain.high
    assert min(under.gain.value for under in one.stress) < -0.1, "bars behind a mask are hard to tell"
    plain = evaluate([str(tiny_run.path)], data=faceset_folder, split="PublicTest").results.models[0]
    assert plain.stress == ()


def test_views_and_conditions_go_together(tiny_run: RunFolder, faceset: FaceSet) -> None:
    faces, candidate = faceset.split("PublicTest"), open_candidate(str(tiny_run.path))
    two = predict(candidate, faces, 2, lambda what, share: None, _condition("darkness"))
    changed = _condition("darkness").change(np.asarray(faces.faces_u8), _random())
    by_hand = np.mean([candidate.ask(1)(view) for view in (changed, changed[:, :, ::-1])], axis=0)
    np.testing.assert_allclose(two, by_hand, atol=1e-6)
