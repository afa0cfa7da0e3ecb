import numpy as np
import pytest
from PIL import Image

from mien.preprocess import InputSpec, crop_face, network_input

GREY = InputSpec(face_px=48, view_px=44, channels=1, mean=(0.5,), std=(0.25,))
RGB = InputSpec(face_px=48, view_px=48, channels=3, mean=(0.5, 0.4, 0.3), std=(0.25, 0.2, 0.5))


def _picture(height: int = 100, width: int = 120) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_a_face_of_the_right_size_is_not_resampled() -> None:
    grey = np.repeat(np.random.default_rng(0).integers(0, 256, (100, 120, 1), np.uint8), 3, axis=2)
    np.testing.assert_array_equal(crop_face(grey, (10, 20, 48, 48), GREY), grey[20:68, 10:58, 0])


def test_colour_comes_out_red_first() -> None:
    blue = np.zeros((60, 60, 3), np.uint8)
    blue[:, :, 0] = 200
    assert crop_face(blue, (0, 0, 48, 48), RGB)[0, 0].tolist() == [0, 0, 200]


@pytest.mark.parametrize("tilt_deg", [-40.0, -10.0, 5.0, 25.0])
@pytest.mark.parametrize("side", [30.0, 150.0])
def test_a_tilted_head_comes_out_upright(tilt_deg: float, side: float) -> None:
    """The same face turned with Pillow, which turns counter-clockwise, and cut with its tilt."""
    y, x = np.mgrid[:400, :400]
    face = np.stack([128 + 60 * np.sin(x / 17), 128 + 60 * np.cos(y / 23), 100 + x / 4], axis=2).astype(np.uint8)
    turned = np.array(Image.fromarray(face).rotate(-tilt_deg, Image.Resampling.BICUBIC, center=(200, 200)))
    box = (200 - side / 2, 200 - side / 2, side, side)
    upright = crop_face(face, box, RGB).astype(int)
    assert np.abs(crop_face(turned, box, RGB, tilt_deg=tilt_deg) - upright).mean() < 4
    if side == 150:
        assert np.abs(crop_face(turned, box, RGB) - upright).mean() > 4, "the tilt is worth undoing"


BEYOND = [
    (-30, -20, 80, 80),
    (90, 70, 80, 80),
    (-10, -10, 300, 300),
    (500, 500, 20, 20),
    (-90, 30, 20, 20),
    (30, -90, 1, 1),
]


@pytest.mark.parametrize("box", BEYOND)
def test_beyond_the_border_the_border_goes_on(box: tuple[float, float, float, float]) -> None:
    """Against numpy's own padding, at a scale of one."""
    picture = _picture()
    spec = InputSpec(face_px=int(box[2]), view_px=int(box[2]), channels=3, mean=RGB.mean, std=RGB.std)
    padded = np.pad(picture, ((600, 600), (600, 600), (0, 0)), mode="edge")
    x, y, side, _ = (int(value) for value in box)
    expected = padded[y + 600 : y + 600 + side, x + 600 : x + 600 + side, ::-1]
    np.testing.assert_array_equal(crop_face(picture, box, spec), expected)


def test_shrinking_averages_and_does_not_alias() -> None:
    stripes = np.zeros((96, 96, 3), np.uint8)
    stripes[:, ::2] = 200
    assert set(crop_face(stripes, (0, 0, 96, 96), GREY).ravel().tolist()) == {100}


def test_network_input_is_the_centre_normalised() -> None:
    faces = np.random.default_rng(0).integers(0, 256, (3, 48, 48), np.uint8)
    inputs = network_input(faces, GREY)
    assert inputs.shape == (3, 1, 44, 44)
    assert inputs.dtype == np.float32
    np.testing.assert_allclose(inputs[1, 0], (faces[1, 2:46, 2:46] / 255.0 - 0.5) / 0.25, atol=1e-5)


def test_network_input_normalises_each_channel() -> None:
    faces = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 3), np.uint8)
    inputs = network_input(faces, RGB)
    assert inputs.shape == (2, 3, 48, 48)
    np.testing.assert_allclose(inputs[0, 2], (faces[0, :, :, 2] / 255.0 - 0.3) / 0.5, atol=1e-5)
