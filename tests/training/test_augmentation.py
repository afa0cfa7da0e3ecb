"""Each augmentation against a slow and obvious reference."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from mien.preprocess import InputSpec, network_input
from mien.training.augmentation import add_noise, augment, cut_out, mix, relight, soften, warp
from mien.training.batches import TrainingBatches
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
    inputs = augment(faces, _none(), NOTHING, SPEC, _draws(), SPEC.view_px)
    np.testing.assert_allclose(inputs.numpy(), network_input(faces.numpy(), SPEC), atol=2e-3)


def test_mirrored_faces_are_mirrored_and_the_others_are_not() -> None:
    faces = _faces()
    mirrored = torch.tensor([True, False] * 3)
    inputs = augment(faces, mirrored, NOTHING, SPEC, _draws(), SPEC.view_px).numpy()
    plain = network_input(faces.numpy(), SPEC)
    np.testing.assert_allclose(inputs[0], plain[0, :, :, ::-1], atol=2e-3)
    np.testing.assert_allclose(inputs[1], plain[1], atol=2e-3)


def _reference_warp(
    face: np.ndarray, *, angle: float, zoom: float, shift: tuple[float, float], mirror: bool, view_px: int
) -> np.ndarray:
    """Pixel by pixel: where in the crop does this pixel of the view come from? Then bilinear, border repeated.

    A smaller view shows the same 44 pixels of the crop, from the first to the last.
    """
    out = np.empty((view_px, view_px))
    step = 43 / (view_px - 1)
    for row in range(view_px):
        for column in range(view_px):
            right, down = (step * column - 21.5) / zoom, (step * row - 21.5) / zoom
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


@pytest.mark.parametrize("view_px", [44, 32])
@pytest.mark.parametrize("mirror", [False, True])
def test_the_warp_equals_a_loop_over_pixels(mirror: bool, view_px: int) -> None:
    recipe = _with(rotation_deg=30, zoom=0.3, shift_px=3)
    faces = _faces(3)
    warped = warp(faces[:, None].float(), torch.full((3,), mirror), recipe, SPEC, _draws(5), view_px).numpy()
    draws = _draws(5)
    angle, zoom, x, y = ((2 * torch.rand(3, generator=draws) - 1).numpy() for _ in range(4))
    for i in range(3):
        expected = _reference_warp(
            faces[i].numpy().astype(float),
            angle=math.radians(30) * angle[i],
            zoom=1 + 0.3 * zoom[i],
            shift=(3 * x[i], 3 * y[i]),
            mirror=mirror,
            view_px=view_px,
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
    recipe = AugmentationSection(cutout_px=10, blur=0.03, noise=0.1)
    first, second, other = (augment(_faces(), _none(), recipe, SPEC, _draws(seed), SPEC.view_px) for seed in (3, 3, 4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_faces_on_another_device_stay_there() -> None:
    """The meta device stands for a GPU: mixing devices raises on it just the same."""
    faces, recipe = _faces().to("meta"), AugmentationSection(cutout_px=8, blur=0.03, noise=0.1)
    inputs = augment(faces, _none().to("meta"), recipe, SPEC, _draws(), SPEC.view_px)
    assert (inputs.device.type, inputs.shape) == ("meta", (6, 1, 44, 44))


# ---- each change alone, against scipy or a loop over pixels --------------------------------------


def _uniform(count: int, seed: int, skip: int = 0) -> np.ndarray:
    """The draws between -1 and 1 that a change takes, after `skip` others."""
    draws = _draws(seed)
    for _ in range(skip):
        torch.rand(count, generator=draws)
    return (2 * torch.rand(count, generator=draws) - 1).numpy().astype(float)


def _view(face: np.ndarray) -> np.ndarray:
    return face[2:46, 2:46]


@pytest.mark.parametrize("change", ["rotation_deg", "zoom"])
def test_rotation_and_zoom_alone_equal_scipys(change: str) -> None:
    limit, skip = {"rotation_deg": (20.0, 0), "zoom": (0.1, 1)}[change]  # Jawade's: 20 degrees, 10 %
    faces = _faces(4)
    warped = warp(faces[:, None].float(), _none(4), _with(**{change: limit}), SPEC, _draws(7), SPEC.view_px)
    for face, draw, got in zip(faces.numpy().astype(float), _uniform(4, 7, skip), warped[:, 0].numpy(), strict=True):
        angle = math.radians(limit) * draw if change == "rotation_deg" else 0.0
        scale = 1 + limit * draw if change == "zoom" else 1.0
        # scipy's matrix takes (row, column) of the result to (row, column) of the source, about the centre 23.5
        matrix = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]) / scale
        expected = ndimage.affine_transform(face, matrix, 23.5 - matrix @ [23.5, 23.5], order=1, mode="nearest")
        np.testing.assert_allclose(got, _view(expected), atol=0.05)


def test_a_shift_is_a_crop_from_another_place() -> None:
    """A view of 44 in a face of 48, moved by up to 2 pixels: all that a random crop can show, and the steps between."""
    faces = _faces(5)
    cropped = warp(faces[:, None].float(), _none(5), _with(shift_px=2), SPEC, _draws(3), SPEC.view_px)[:, 0].numpy()
    for face, x, y, got in zip(faces.numpy(), 2 * _uniform(5, 3, 2), 2 * _uniform(5, 3, 3), cropped, strict=True):
        moved = ndimage.shift(face.astype(float), (-y, -x), order=1, mode="nearest")
        np.testing.assert_allclose(got, _view(moved), atol=0.05)


@pytest.mark.parametrize("change", ["brightness", "contrast"])
def test_light_alone_equals_a_loop_over_pixels(change: str) -> None:
    faces = _faces(3)
    lit = relight(faces[:, None].float(), _with(**{change: 0.4}), _draws(2))[:, 0].numpy()
    draws = 0.4 * _uniform(3, 2, skip=0 if change == "contrast" else 1)
    for face, draw, got in zip(faces.numpy().astype(float), draws, lit, strict=True):
        for row in range(48):
            for column in range(48):
                value = face[row, column]
                value += 255 * draw if change == "brightness" else draw * (value - face.mean())
                assert got[row, column] == pytest.approx(min(max(value, 0), 255), abs=0.01)


def test_blur_equals_scipys_in_the_share_of_faces_asked_for() -> None:
    planes = _faces(8)[:, None].float()
    softened = soften(planes, _with(blur=0.05, blur_share=0.6), _draws(3))[:, 0].numpy()
    draws = _draws(3)
    chosen = torch.rand(8, generator=draws) < 0.6
    sigmas = iter((48 * 0.05 * torch.rand(int(chosen.sum()), generator=draws)).tolist())
    assert 0 < chosen.sum() < 8
    for face, blurred, got in zip(planes[:, 0].numpy(), chosen.tolist(), softened, strict=True):
        radius = math.ceil(3 * 48 * 0.05)
        expected = ndimage.gaussian_filter(face, next(sigmas), mode="nearest", radius=radius) if blurred else face
        np.testing.assert_allclose(got, expected, atol=0.05)


def test_noise_is_normal_in_the_share_of_faces_asked_for_and_stays_in_range() -> None:
    planes = torch.full((400, 1, 48, 48), 128.0)
    noisy = add_noise(planes, _with(noise=0.1, noise_share=0.25), _draws(7))[:, 0].numpy() - 128
    spread = noisy.std(axis=(1, 2))
    touched = spread[spread > 0]
    assert 60 < len(touched) < 140
    assert 0.08 * 255 < touched.max() <= 0.105 * 255
    assert touched.mean() == pytest.approx(0.05 * 255, rel=0.15), "spread evenly up to the largest"
    strongest = noisy[spread.argmax()].ravel()
    assert abs(strongest.mean()) < 4 * strongest.std() / 48
    assert np.mean(np.abs(strongest) < strongest.std()) == pytest.approx(0.683, abs=0.03), "a bell"
    white = add_noise(torch.full((4, 1, 8, 8), 255.0), _with(noise=0.5, noise_share=1), _draws())
    assert white.max() == 255


def test_cutout_equals_a_loop_over_pixels() -> None:
    inputs = torch.ones(8, 3, 20, 20)
    covered = cut_out(inputs, _with(cutout_px=7, cutout_share=1), _draws(4)).numpy()
    draws = _draws(4)
    torch.rand(8, generator=draws)  # which faces get one
    rows, columns = (torch.randint(20, (8,), generator=draws).tolist() for _ in range(2))
    for face, y, x in zip(covered, rows, columns, strict=True):
        for row in range(20):
            for column in range(20):
                inside = y - 3 <= row <= y + 3 and x - 3 <= column <= x + 3
                assert face[:, row, column].tolist() == [0.0 if inside else 1.0] * 3


def test_mixup_mixes_each_face_and_its_target_with_one_other_by_the_same_share() -> None:
    inputs = torch.rand(6, 1, 4, 4, generator=_draws(1))
    targets = torch.eye(6)
    mixed, mixed_targets = mix(inputs, targets, _with(mixup_alpha=0.4, mixup_share=1), _draws(5))
    share = float(mixed_targets.diagonal().max())
    assert 0 < share < 1
    for i in range(6):
        others = [j for j in range(6) if j != i and mixed_targets[i, j] > 0]
        partner = others[0] if others else i
        expected = {i: share, partner: 1 - share} if others else {i: 1.0}
        assert {j: float(v) for j, v in enumerate(mixed_targets[i]) if v} == pytest.approx(expected)
        for row in range(4):
            for column in range(4):
                value = share * float(inputs[i, 0, row, column]) + (1 - share) * float(inputs[partner, 0, row, column])
                assert float(mixed[i, 0, row, column]) == pytest.approx(value, abs=1e-6)


def test_mixups_shares_follow_its_beta_and_its_batches_their_share() -> None:
    """Beta(0.2, 0.2), from which Zhang et al. 2018 draw, has mean 1/2 and variance 1 / (4 * 1.4)."""
    inputs, targets = torch.zeros(8, 1, 1, 1), torch.eye(8)
    recipe, draws = _with(mixup_alpha=0.2, mixup_share=0.5), _draws(6)
    mixed = [mix(inputs, targets, recipe, draws)[1] for _ in range(3000)]
    # a face whose partner is itself shows 1; every other shows the share
    shares = np.array([float(each.diagonal().min()) for each in mixed if each is not targets])
    assert len(shares) == pytest.approx(1500, abs=100)
    assert shares.mean() == pytest.approx(1 / 2, abs=0.04)
    assert shares.var() == pytest.approx(1 / 5.6, abs=0.02)


@pytest.mark.parametrize(
    ("mean", "std", "low", "high"),
    [((0.0,), (1.0,), 0.0, 1.0), ((0.5,), (0.5,), -1.0, 1.0), ((0.4, 0.5, 0.6), (0.2, 0.25, 0.3), None, None)],
)
def test_pixels_are_scaled_as_the_papers_have_it(
    mean: tuple[float, ...], std: tuple[float, ...], low: float | None, high: float | None
) -> None:
    """[0, 1] is Jawade's, mean and deviation of 0.5 are Barbagallo's, one for each colour is ImageNet's way."""
    spec = InputSpec(8, 8, len(mean), mean, std)
    every = torch.arange(256, dtype=torch.uint8)
    faces = every.reshape(4, 8, 8) if len(mean) == 1 else every[:192].reshape(1, 8, 8, 3)
    inputs = augment(faces, _none(len(faces)), NOTHING, spec, _draws(), 8).numpy()
    if low is not None:
        assert (inputs.min(), inputs.max()) == pytest.approx((low, high), abs=1e-6)
    for i, row, column, channel in np.ndindex(len(faces), 8, 8, len(mean)):
        pixel = int(faces[i, row, column] if len(mean) == 1 else faces[i, row, column, channel])
        expected = (pixel / 255 - mean[channel]) / std[channel]
        assert inputs[i, channel, row, column] == pytest.approx(expected, abs=1e-4)


def test_flips_alternate_so_that_two_epochs_show_each_face_both_ways() -> None:
    """Alizadeh and Fazel double the training set by mirroring; over two epochs this is the same."""
    faces = _faces(10).numpy()
    batches = TrainingBatches(faces, np.eye(10, dtype=np.float32), batch_size=5, seed=0, flip=True)
    seen = []
    for batches.epoch in range(2):
        for batch in batches:
            numbers = batch.targets.argmax(1).tolist()
            seen += list(zip(numbers, batch.mirrored.tolist(), strict=True))
    assert sorted(seen) == [(number, mirrored) for number in range(10) for mirrored in (False, True)]
