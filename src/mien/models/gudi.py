"""Gudi's CNN with local contrast normalisation, as Holman, Vyas & Badal train it (their Figure 2).

Gudi, "Recognizing Semantic Features in Faces using Deep Learning", 2014, in the form of Correa et al. 2016:
conv 64 5x5 - local contrast normalisation - pool 3/2 - conv 64 5x5 - pool 3/2 - conv 128 4x4 - dropout - affine 3072.
From Correa's published TFLearn code, where the papers are silent: ReLU right after each convolution, "same" padding
(48 -> 24 -> 12 -> 12), dropout of 0.3.
"""

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien.models.dropout import Dropout
from mien.models.plain_cnn import glorot_weights
from mien.models.registry import register
from mien.models.same_padding import SamePad, same_max_pool

WINDOW_PX = 9  # Jarrett et al. 2009, section 2
FLOOR = 1e-3  # least deviation: FER2013 has blank faces, whose rounding errors would be blown up, gradients and all


class LocalContrastNormalisation(nn.Module):
    """Subtracts from each value the weighted mean around it, divides by the deviation around it (Jarrett et al. 2009).

    The Gaussian window spans all maps. The divisor is never below its own mean over the face, so that flat regions are
    not blown up. At the border the part of the window that lies on the map counts, at full weight.
    """

    window: Tensor

    def __init__(self, size: int = WINDOW_PX) -> None:
        super().__init__()
        across = torch.arange(size) - (size - 1) / 2
        # The deviation is not in the paper; a quarter of the window leaves its corners about e^-4.
        gauss = torch.exp(-across.square() / (2 * (size / 4) ** 2))
        self.register_buffer("window", (gauss / gauss.sum()).view(1, 1, 1, size), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, H, W) of the same shape."""
        centred = x - self._mean_around(x)
        deviation = (self._mean_around(centred.square()) + FLOOR**2).sqrt()  # (N, 1, H, W)
        return centred / torch.maximum(deviation, deviation.mean((2, 3), keepdim=True))

    def _mean_around(self, x: Tensor) -> Tensor:
        mean = x.mean(1, keepdim=True)
        return self._blur(mean) / self._blur(torch.ones_like(mean[:1]))

    def _blur(self, x: Tensor) -> Tensor:
        half = self.window.shape[-1] // 2
        window = self.window.to(x.dtype)
        return F.conv2d(F.conv2d(x, window, padding=(0, half)), window.transpose(2, 3), padding=(half, 0))


@register("gudi", source="Gudi 2014, Correa 2016; Holman et al., Figure 2", view_px=48)
def gudi(channels: int, classes: int, view_px: int) -> nn.Module:
    """Return the network for a view of any side."""
    half, quarter = math.ceil(view_px / 2), math.ceil(view_px / 4)
    layers: dict[str, nn.Module] = {
        "conv1": nn.Conv2d(channels, 64, 5, padding=2),
        "relu1": nn.ReLU(),
        "contrast1": LocalContrastNormalisation(),
        "pool1": same_max_pool(view_px),  # 48 -> 24
        "conv2": nn.Conv2d(64, 64, 5, padding=2),
        "relu2": nn.ReLU(),
        "pool2": same_max_pool(half),  # 24 -> 12
        "pad3": SamePad(quarter, kernel=4, stride=1),
        "conv3": nn.Conv2d(64, 128, 4),
        "relu3": nn.ReLU(),
        "dropout3": Dropout(0.3),
        "flatten": nn.Flatten(),
        "affine1": nn.Linear(128 * quarter * quarter, 3072),
        "relu4": nn.ReLU(),
        "classes": nn.Linear(3072, classes),
    }
    return nn.Sequential(OrderedDict(layers)).apply(glorot_weights)
