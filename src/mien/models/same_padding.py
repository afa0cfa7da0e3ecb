"""TensorFlow's "same" padding, for networks whose published code was written in it."""

import math

from torch import Tensor, nn
from torch.nn import functional as F


class SamePad(nn.Module):
    """Pads as "same" does: ceil(side / stride) places for a window; an odd pixel goes below and to the right."""

    def __init__(self, side: int, kernel: int, stride: int) -> None:
        super().__init__()
        total = max(0, (math.ceil(side / stride) - 1) * stride + kernel - side)
        self.widths = [total // 2, total - total // 2] * 2

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, H + total, W + total)."""
        return F.pad(x, self.widths)


def same_max_pool(side: int) -> nn.MaxPool2d:
    """Return a max pool over 3x3 pixels that leaves ceil(side / 2) along each axis.

    It pads with nothing, so an exported network needs no operator for that: of an even side the last window hangs over
    the edge by the one pixel that "same" adds, and of an odd side one is added all around.
    """
    return nn.MaxPool2d(3, 2, padding=side % 2, ceil_mode=True)
