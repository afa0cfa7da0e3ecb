"""mini-XCEPTION and big-XCEPTION: what most programs in the field run today, to be trained and compared like any other.

Arriaga, Plöger & Valdenegro 2017, "Real-time Convolutional Neural Networks for Emotion and Gender Classification",
Figure 3, and the authors' Keras code, whose paddings, norms and counts these follow: 58,423 and 208,871 values with the
running statistics of the batch norms, for grey faces and seven classes.
"""

import math

from torch import Tensor, nn

from mien.models.registry import register
from mien.models.same_padding import same_max_pool


class XceptionModule(nn.Module):
    """Two separable convolutions and a pool, beside a strided 1x1 convolution that is added to them."""

    def __init__(self, channels: int, out: int, side: int, *, starts_with_relu: bool = False) -> None:
        super().__init__()
        # A pool of one pixel with step 2 and then a 1x1 convolution is a 1x1 convolution with step 2. As one layer it
        # crashes when trained in bf16: oneDNN in PyTorch 2.13, two threads, an odd number of faces.
        self.shortcut = nn.Sequential(nn.MaxPool2d(1, 2), nn.Conv2d(channels, out, 1, bias=False), _norm(out))
        self.convs = nn.Sequential(
            *([nn.ReLU()] if starts_with_relu else []),
            *_separable(channels, out),
            nn.ReLU(),
            *_separable(out, out),
            same_max_pool(side),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, out, ceil(H / 2), ceil(W / 2))."""
        added: Tensor = self.convs(x) + self.shortcut(x)
        return added


class Xception(nn.Module):
    """A stem of two convolutions, modules, a convolution to the classes, the mean of each of its maps."""

    def __init__(
        self, channels: int, classes: int, view_px: int, *, stem: tuple[int, int], stride: int, widths: tuple[int, ...]
    ) -> None:
        super().__init__()
        first, second = stem
        self.stem = nn.Sequential(
            nn.Conv2d(channels, first, 3, stride, bias=False),
            _norm(first),
            nn.ReLU(),
            nn.Conv2d(first, second, 3, bias=False),
            _norm(second),
            nn.ReLU(),
        )
        side = (view_px - 3) // stride + 1 - 2  # 48 -> 44 at stride 1, 21 at stride 2
        modules = []
        width = second
        for number, out in enumerate(widths):
            # In big-XCEPTION each module but the first starts with a ReLU; mini-XCEPTION's modules have none there.
            modules.append(XceptionModule(width, out, side, starts_with_relu=stride == 2 and number > 0))
            width, side = out, math.ceil(side / 2)
        self.body = nn.Sequential(*modules)
        self.classes = nn.Conv2d(width, classes, 3, padding=1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.xavier_uniform_(layer.weight)  # Keras' own

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, (N, classes)."""
        x = self.body(self.stem(x))  # (N, 1, 48, 48) -> (N, 128, 3, 3)
        logits: Tensor = self.classes(x).mean((2, 3))
        return logits


def _separable(channels: int, out: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
        nn.Conv2d(channels, out, 1, bias=False),
        _norm(out),
    )


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)  # Keras' own values


@register("mini-xception", source="Arriaga et al. 2017, Figure 3", view_px=48)
def mini_xception(channels: int, classes: int, view_px: int) -> nn.Module:
    """Return the net of 57 k trained values."""
    return Xception(channels, classes, view_px, stem=(8, 8), stride=1, widths=(16, 32, 64, 128))


@register("big-xception", source="Arriaga et al. 2017, the authors' code", view_px=48)
def big_xception(channels: int, classes: int, view_px: int) -> nn.Module:
    """Return the net of 206 k trained values."""
    return Xception(channels, classes, view_px, stem=(32, 64), stride=2, widths=(128, 256))
