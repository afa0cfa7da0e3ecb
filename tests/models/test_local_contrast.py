import numpy as np
import torch
from scipy.ndimage import correlate

from mien.models.gudi import LocalContrastNormalisation


def _by_the_paper(maps: np.ndarray, size: int) -> np.ndarray:
    """Jarrett et al. 2009, section 2, over (C, H, W), one map at a time; the window counts where it lies on the map."""
    across = np.arange(size) - size // 2
    window = np.exp(-(across[:, None] ** 2 + across[None, :] ** 2) / (2 * (size / 4) ** 2))
    cover = correlate(np.ones(maps.shape[1:]), window, mode="constant") * len(maps)
    mean = sum(correlate(one, window, mode="constant") for one in maps) / cover
    v = maps - mean
    deviation = np.sqrt(sum(correlate(one**2, window, mode="constant") for one in v) / cover)
    return v / np.maximum(deviation.mean(), deviation)


def test_it_is_what_the_paper_writes() -> None:
    maps = np.random.default_rng(0).normal(3, 2, (2, 4, 20, 17)).cumsum(-1)
    ours = LocalContrastNormalisation(9)(torch.from_numpy(maps)).numpy()
    np.testing.assert_allclose(ours, np.stack([_by_the_paper(one, 9) for one in maps]), rtol=1e-4, atol=1e-4)


def test_light_and_contrast_do_not_change_it_and_a_blank_face_stays_blank() -> None:
    faces = torch.rand(3, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    layer = LocalContrastNormalisation()
    torch.testing.assert_close(layer(0.3 * faces + 0.5), layer(faces), atol=1e-4, rtol=1e-4)
    blank = torch.full((1, 1, 24, 24), 0.7, requires_grad=True)
    layer(blank).square().sum().backward()
    assert layer(blank).abs().max() < 1e-3
    assert blank.grad is not None
    assert torch.isfinite(blank.grad).all()
