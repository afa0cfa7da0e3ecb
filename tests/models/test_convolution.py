"""Our convolution learns what torch's does, whichever way the gradient of its weights is computed."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mien.models import convolution
from mien.models.convolution import Conv2d, weight_gradient


@pytest.mark.parametrize(("kernel", "side", "channels_in", "channels_out"), [(3, 5, 8, 12), (5, 6, 4, 6), (1, 4, 3, 2)])
def test_the_products_give_the_gradient_that_autograd_gives(
    kernel: int, side: int, channels_in: int, channels_out: int
) -> None:
    torch.manual_seed(0)
    x = torch.randn(4, channels_in, side, side, dtype=torch.float64)
    weight = torch.randn(channels_out, channels_in, kernel, kernel, dtype=torch.float64, requires_grad=True)
    out = F.conv2d(x, weight, padding=kernel // 2)
    gradient = torch.randn_like(out)
    out.backward(gradient)
    torch.testing.assert_close(weight_gradient(x, gradient, kernel=kernel), weight.grad)


@pytest.mark.parametrize("bias", [False, True])
def test_a_step_in_bf16_is_torchs_to_the_precision_of_bf16(bias: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "has_matrix_unit", lambda: True)
    torch.manual_seed(0)
    ours, torchs = Conv2d(96, 128, 3, padding=1, bias=bias), nn.Conv2d(96, 128, 3, padding=1, bias=bias)
    torchs.load_state_dict(ours.state_dict())
    x = torch.randn(8, 96, 5, 5)
    results = []
    for layer in (ours, torchs):
        seen = x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            out = layer(seen)
            assert out.dtype == torch.bfloat16
            out.float().square().sum().backward()
        results.append((out.float(), seen.grad, *(weight.grad for weight in layer.parameters())))
    for mine, theirs in zip(*results, strict=True):
        assert mine.dtype == theirs.dtype
        torch.testing.assert_close(mine, theirs, rtol=0.02, atol=0.02 * float(theirs.detach().abs().max()))


def test_products_are_for_small_wide_maps_in_bf16_training_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "has_matrix_unit", lambda: True)

    def by_products(layer: nn.Module, x: torch.Tensor, bf16: bool = True) -> bool:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return "SmallMap" in type(layer(x).grad_fn).__name__

    wide, small = Conv2d(96, 96, 3, padding=1), torch.randn(2, 96, 5, 5)
    assert by_products(wide, small)
    assert not by_products(wide, small, bf16=False)
    assert not by_products(wide, torch.randn(2, 96, 11, 11))
    assert not by_products(Conv2d(96, 96, 3), small), "the map shrinks"
    assert not by_products(Conv2d(96, 96, 3, 2, 1), small), "it strides"
    assert not by_products(Conv2d(32, 96, 3, padding=1), torch.randn(2, 32, 5, 5)), "few channels"
    with torch.inference_mode():
        assert not by_products(wide, small)
    monkeypatch.setattr(convolution, "has_matrix_unit", lambda: False)
    assert not by_products(wide, small)
