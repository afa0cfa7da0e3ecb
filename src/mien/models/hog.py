"""Histograms of oriented gradients, inside the network: the same 900 numbers as scikit-image, in tensor operations.

So that a model file takes a face and nothing else. Dalal & Triggs 2005; unsigned gradients, L2-Hys, as in
`skimage.feature.hog`. The papers that use it here give no parameters: 9 orientations, cells of 8x8, blocks of 2x2.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ORIENTATIONS, CELL_PX, BLOCK_CELLS = 9, 8, 2
CLIP, EPSILON = 0.2, 1e-5  # of L2-Hys: skimage.feature.hog's own


class HOG(nn.Module):
    """Faces of (N, C, H, W), pixels from 0 to 1, -> (N, features).

    Pixels are rounded to a sixteenth of a grey level. A gradient along an axis lies just on the edge between two
    orientations, and the last bit of an interpolation (a mirror in training is one) must not decide which it is.
    """

    upper: Tensor

    def __init__(self) -> None:
        super().__init__()
        edges = torch.arange(ORIENTATIONS + 1) * math.pi / ORIENTATIONS
        self.register_buffer("upper", torch.stack([edges.sin(), edges.cos()]), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, blocks down * blocks across * 2 * 2 * 9)."""
        magnitude, bins = self.gradients((x * (255 * 16)).round() / 16)
        cells = F.avg_pool2d(magnitude * bins, CELL_PX)  # (N, 1, H, W) x (N, 9, H, W) -> (N, 9, H/8, W/8)
        down, across = (side - BLOCK_CELLS + 1 for side in cells.shape[2:])
        corners = [cells[:, :, i : i + down, j : j + across] for i in range(BLOCK_CELLS) for j in range(BLOCK_CELLS)]
        blocks = torch.stack(corners, dim=1).permute(0, 3, 4, 1, 2).flatten(3)  # (N, down, across, 4 * 9)
        blocks = _unit(_unit(blocks).clamp(max=CLIP))
        return blocks.flatten(1)

    def gradients(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradient's length, (N, 1, H, W), and its orientation as ones and zeros, (N, 9, H, W)."""
        down = F.pad(x[:, :, 2:] - x[:, :, :-2], (0, 0, 1, 1))
        across = F.pad(x[:, :, :, 2:] - x[:, :, :, :-2], (1, 1))
        length = (down.square() + across.square()).sqrt()
        if x.shape[1] > 1:  # of the colours, the one that changes most
            strongest = length.argmax(1, keepdim=True)
            down, across, length = (plane.gather(1, strongest) for plane in (down, across, length))
        # Unsigned: each gradient is turned into the upper half plane, where it lies between two of the ten edges.
        sign = torch.where((down < 0) | ((down == 0) & (across < 0)), -1.0, 1.0)
        sines, cosines = self.upper.view(2, -1, 1, 1)
        past_edge = sign * (down * cosines - across * sines) >= 0  # (N, 10, H, W)
        past_edge[:, 0], past_edge[:, -1] = True, False
        bins = past_edge[:, :-1] & ~past_edge[:, 1:]
        return length, bins.to(x.dtype)


def features(view_px: int) -> int:
    """Return how many numbers HOG makes of a view."""
    blocks = view_px // CELL_PX - BLOCK_CELLS + 1
    return blocks * blocks * BLOCK_CELLS * BLOCK_CELLS * ORIENTATIONS


def _unit(blocks: Tensor) -> Tensor:
    return blocks / (blocks.square().sum(-1, keepdim=True) + EPSILON**2).sqrt()
