"""A convolution whose weights learn quickly from small maps too.

When maps are small (6x6 and less, the last layers of most networks here), oneDNN's gradient of a convolution's weights
reaches a fifth of what the matrix unit of a processor with AMX can do. The same gradient is a sum of matrix products,
one for each place of the kernel; `benchmarks/weight_gradient.py` times both ways.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SMALL_MAP_PX, FEW_CHANNELS = 6, 96  # where products win; elsewhere they lose (benchmarks/weight_gradient.py)


def has_matrix_unit() -> bool:
    """Return whether this processor multiplies bf16 matrices in a unit of their own (AMX)."""
    if not hasattr(torch.cpu, "get_capabilities"):  # an older torch
        return False
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))


class Conv2d(nn.Conv2d):
    """`torch.nn.Conv2d`; where bf16 training on a processor meets a small map, the weights' gradient is faster."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of x, (N, C, H, W)."""
        if not self._learns_by_products(x):
            return super().forward(x)
        bias = None if self.bias is None else self.bias.bfloat16()
        out: Tensor = _SmallMapConvolution.apply(  # type: ignore[no-untyped-call]
            x.bfloat16(), self.weight.bfloat16(), bias
        )
        return out

    def _learns_by_products(self, x: Tensor) -> bool:
        height, width = self.kernel_size
        return (
            torch.is_grad_enabled()
            and self.weight.requires_grad
            and x.device.type == "cpu"
            and torch.is_autocast_enabled("cpu")
            and torch.get_autocast_dtype("cpu") == torch.bfloat16
            and x.shape[2] == x.shape[3] <= SMALL_MAP_PX
            and min(self.in_channels, self.out_channels) >= FEW_CHANNELS
            and height == width
            and self.padding == (height // 2, width // 2)
            and height % 2 == 1
            and (self.stride, self.dilation, self.groups) == ((1, 1), (1, 1), 1)
            and has_matrix_unit()
        )


class _SmallMapConvolution(torch.autograd.Function):
    """A square kernel of odd side, stride 1, zeros around so that the map keeps its side; all in bf16."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        return F.conv2d(x, weight, bias, padding=weight.shape[2] // 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None]:
        x, weight = ctx.saved_tensors
        gradient = gradients[0]
        margin = weight.shape[2] // 2
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = torch.ops.aten.convolution_backward(
                gradient, x, weight, None, [1, 1], [margin] * 2, [1, 1], False, [0, 0], 1, [True, False, False]
            )[0]
        of_bias = gradient.sum((0, 2, 3)) if ctx.has_bias else None
        return of_x, weight_gradient(x, gradient, kernel=weight.shape[2]), of_bias


def weight_gradient(x: Tensor, gradient: Tensor, *, kernel: int) -> Tensor:
    """Return the gradient of a convolution's weights, (out, in, kernel, kernel), by kernel² matrix products.

    All maps are laid out in one long row of pixels, `margin` zeros between rows and between maps. There, a step in the
    kernel is a shift along the row, so each factor is a slice and nothing is copied.

    Args:
        x: (N, in, S, S), the layer's input.
        gradient: (N, out, S, S), the loss's gradient at its output.
        kernel: Odd side of the kernel; the input was padded by half of it.
    """
    count, channels, side, _ = x.shape
    margin = kernel // 2
    pitch = side + margin
    pixels = count * pitch * pitch
    before = margin * pitch + margin  # how far the first place of the kernel looks back
    row = x.new_zeros(pixels + 2 * before, channels)
    row[before : before + pixels].view(count, pitch, pitch, channels)[:, :side, :side] = x.permute(0, 2, 3, 1)
    at_output = F.pad(gradient.permute(0, 2, 3, 1), (0, 0, 0, margin, 0, margin)).reshape(pixels, -1)
    at_output = at_output.t().contiguous()  # (out, pixels)
    shifts = [down * pitch + across for down in range(kernel) for across in range(kernel)]
    places = torch.stack([at_output @ row[shift : shift + pixels] for shift in shifts])  # (kernel², out, in)
    return places.view(kernel, kernel, -1, channels).permute(2, 3, 0, 1)
