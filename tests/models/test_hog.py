from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.feature import hog as skimage_hog

from mien.data.faceset import open_faceset
from mien.models.hog import HOG, features
from tests.conftest import drawn_faces


def _skimage(faces_u8: np.ndarray) -> np.ndarray:
    axis = -1 if faces_u8.ndim == 4 else None
    return np.stack([skimage_hog(face, 9, (8, 8), (2, 2), block_norm="L2-Hys", channel_axis=axis) for face in faces_u8])


def _ours(faces_u8: np.ndarray) -> np.ndarray:
    planes = faces_u8[:, None] if faces_u8.ndim == 3 else faces_u8.transpose(0, 3, 1, 2)
    inputs: np.ndarray = HOG()(torch.from_numpy(planes.astype(np.float32) / 255)).numpy()
    return inputs


@pytest.mark.parametrize("shape", [(48, 48), (52, 45), (48, 48, 3), (16, 16)])
def test_it_is_scikit_images(shape: tuple[int, ...]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (5, *shape), np.uint8)
    noise[1] = 7  # a flat face: no gradient at all
    noise[2] //= 128  # many gradients of equal length along the axes
    np.testing.assert_allclose(_ours(noise), _skimage(noise), atol=1e-4)


def test_it_is_scikit_images_on_faces(fer2013_folder: Path) -> None:
    faces = np.asarray(open_faceset(fer2013_folder).faces_u8[:100])
    ours = _ours(faces)
    assert ours.shape == (100, features(48)) == (100, 900)
    np.testing.assert_allclose(ours, _skimage(faces), atol=1e-4)


def test_the_last_bit_of_a_pixel_does_not_decide_an_orientation() -> None:
    """Stripes: every gradient lies along an axis, on the edge between two orientations."""
    stripes = np.tile(np.array([0, 0, 0, 0, 200, 200, 200, 200], np.float32) / 255, (1, 1, 48, 6))
    noise = np.random.default_rng(0).uniform(-1e-6, 1e-6, stripes.shape).astype(np.float32)
    exact, noisy = (HOG()(torch.from_numpy(pixels)).numpy() for pixels in (stripes, stripes + noise))
    np.testing.assert_allclose(noisy, exact, atol=1e-6)
    np.testing.assert_allclose(exact[0], _skimage((stripes[0] * 255).round().astype(np.uint8))[0], atol=1e-4)


def test_a_mirrored_face_has_another_hog() -> None:
    """So that training needs both."""
    faces = drawn_faces([1, 2])
    assert np.abs(_ours(faces[:, :, ::-1].copy()) - _ours(faces)).max() > 0.1
