"""Each augmentation against a slow and obvious reference."""

import math

import numpy as np
import pytest
import torch

from mien.preprocess import InputSpec, network_input
from mien.training.augmentation import augment, cut_out, relight, warp
from mien.training.recipe import AugmentationSection

SPEC = InputSpec(face_px=48, view_px=44, channels=1, mean=(0.5,), std=(0.25,))
NOTHING = AugmentationSection(
    flip=False, shift_px=0, rotation_deg=0, zoom=0, brightness=0, contrast=0, cutout_px=0, cutout_share=0
)


def _with(**changes: float) -> AugmentationSection:
    return NOTHING.model_copy(update=changes)


def _faces(count: int = 6) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, 48, 48), np.uint8))


def _draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _none(count: int = 6) -> torch.Tensor:
    return torch.zeros(count, dtype=torch.bool)


def test_without_any_augmentation_training_sees_what_evaluation_sees() -> None:
    faces = _faces()
    inputs = augment(faces, _none(), NOTHING, SPEC, _draws())
    np.testing.assert_allclose(inputs.numpy(), network_input(faces.numpy(), SPEC), atol=2e-3)


def test_mirrored_faces_are_mirrored_and_the_others_are_not() -> None:
    faces = _faces()
    mirrored = torch.tensor([True, False] * 3)
    inputs = augment(faces, mirrored, NOTHING, SPEC, _draws()).numpy()
    plain = network_input(faces.numpy(), SPEC)
    np.testing.assert_allclose(inputs[0], plain[0, :, :, ::-1], atol=2e-3)
    np.testing.assert_allclose(inputs[1], plain[1], atol=2e-3)


def _reference_warp(
    face: np.ndarray, *, angle: float, zoom: float, shift: tuple[float, float], mirror: bool
) -> np.ndarray:
    """Pixel by pixel: where in the crop does this pixel of the view come from? Then bilinear, border repeated."""
    out = np.empty((44, 44))
    for row in range(44):
        for column in range(44):
            right, down = (column - 21.5) / zoom, (row - 21.5) / zoom
            x = math.cos(angle) * right - math.sin(angle) * down
            y = math.sin(angle) * right + math.cos(angle) * down
            x = min(max(23.5 + (-x if mirror else x) + shift[0], 0), 47)
            y = min(max(23.5 + y + shift[1], 0), 47)
            x0, y0 = min(int(x), 46), min(int(y), 46)
            fx, fy = x - x0, y - y0
            out[row, column] = (1 - fy) * ((1 - fx) * face[y0, x0] + fx * face[y0, x0 + 1]) + fy * (
                (1 - fx) * face[y0 + 1, x0] + fx * face[y0 + 1, x0 + 1]
            )
    return out


@pytest.mark.parametrize("mirror", [False, True])
def test_the_warp_equals_a_loop_over_pixels(mirror: bool) -> None:
    recipe = _with(rotation_deg=30, zoom=0.3, shift_px=3)
    faces = _faces(3)
    warped = warp(faces[:, None].float(), torch.full((3,), mirror), recipe, SPEC, _draws(5)).numpy()
    draws = _draws(5)
    angle, zoom, x, y = ((2 * torch.rand(3, generator=draws) - 1).numpy() for _ in range(4))
    for i in range(3):
        expected = _reference_warp(
            faces[i].numpy().astype(float),
            angle=math.radians(30) * angle[i],
            zoom=1 + 0.3 * zoom[i],
            shift=(3 * x[i], 3 * y[i]),
            mirror=mirror,
        )
        np.testing.assert_allclose(warped[i, 0], expected, atol=0.05)


def test_relight_equals_its_formula() -> None:
    planes = _faces(4)[:, None].float()
    lit = relight(planes, _with(contrast=0.5, brightness=0.2), _draws(1)).numpy()
    draws = _draws(1)
    contrast, brightness = ((2 * torch.rand(4, generator=draws) - 1).numpy() for _ in range(2))
    for i, face in enumerate(planes[:, 0].numpy()):
        expected = np.clip((face - face.mean()) * (1 + 0.5 * contrast[i]) + face.mean() + 51 * brightness[i], 0, 255)
        np.testing.assert_allclose(lit[i, 0], expected, atol=1e-2)


def test_cut_out_zeroes_a_square_in_the_share_of_faces_asked_for() -> None:
    inputs = torch.ones(400, 1, 44, 44)
    covered = cut_out(inputs, _with(cutout_px=12, cutout_share=0.25), _draws())
    touched = [int((face == 0).sum()) for face in covered]
    assert 60 < sum(n > 0 for n in touched) < 140
    assert max(touched) == 144
    for face in covered[[n > 0 for n in touched]]:
        rows, columns = torch.nonzero(face[0] == 0, as_tuple=True)
        height, width = (int(axis.max() - axis.min()) + 1 for axis in (rows, columns))
        assert height * width == len(rows), "a rectangle, whole"
        assert max(height, width) <= 12


def test_the_same_draws_give_the_same_batch() -> None:
    recipe = AugmentationSection(cutout_px=10)
    first, second, other = (augment(_faces(), _none(), recipe, SPEC, _draws(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_faces_on_another_device_stay_there() -> None:
    """The meta device stands for a GPU: mixing devices raises on it just the same."""
    faces = _faces().to("meta")
    inputs = augment(faces, _none().to("meta"), AugmentationSection(cutout_px=8), SPEC, _draws())
    assert (inputs.device.type, inputs.shape) == ("meta", (6, 1, 44, 44))
