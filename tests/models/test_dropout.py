"""Our dropout does what torch's does."""

import pytest
import torch
from torch import nn

from mien.models.dropout import Dropout


@pytest.mark.parametrize("p", [0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_right_share_is_dropped_and_the_rest_makes_up_for_it(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.ones(64, 32, 20, 20, dtype=dtype)
    ours = Dropout(p)(x)
    assert ours.dtype == dtype
    dropped = (ours == 0).double()
    assert float(dropped.mean()) == pytest.approx(p, abs=0.003), "819,200 values: six standard errors at the most"
    assert ours[ours != 0].unique().tolist() == nn.Dropout(p)(x).unique()[1:].tolist()
    # No face, map, row or column is dropped more than the others, and neighbours are dropped independently.
    for dims in ((1, 2, 3), (0, 2, 3), (0, 1, 3), (0, 1, 2)):
        assert float((dropped.mean(dims) - p).abs().max()) < 6 * (p * (1 - p) / 12_800) ** 0.5
    for lag in range(1, 9):
        flat = dropped.flatten() - dropped.mean()
        assert abs(float((flat[lag:] * flat[:-lag]).mean())) / (p * (1 - p)) < 0.007


def test_it_takes_any_layout_and_passes_the_gradient_where_it_kept() -> None:
    torch.manual_seed(0)
    for x in (
        torch.ones(3, 4, 5, 6),
        torch.ones(3, 4, 5, 6).to(memory_format=torch.channels_last),
        torch.ones(3, 1, 5, 6).expand(-1, 4, -1, -1),
        torch.ones(3, 8, 5, 6)[:, ::2],
        torch.ones(7),
        torch.ones(0, 4),
    ):
        x = x.detach().requires_grad_()
        kept = Dropout(0.5)(x)
        assert kept.shape == x.shape
        kept.sum().backward()
        assert torch.equal(x.grad, kept.detach()), "the factor of a one is what came out of it"


def test_it_is_the_same_for_a_seed_and_does_nothing_when_not_training() -> None:
    x = torch.randn(4, 8, 6, 6)
    layer = Dropout(0.5)
    torch.manual_seed(3)
    first = layer(x)
    torch.manual_seed(3)
    assert torch.equal(first, layer(x))
    assert not torch.equal(first, layer(x))
    assert torch.equal(layer.eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x)
    assert not Dropout(1.0)(x).any()
