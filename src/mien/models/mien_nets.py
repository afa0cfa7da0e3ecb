"""Our own networks: small residual nets after the CIFAR-10 speed records.

What carries over from Jordan 2024 ("94% on CIFAR-10 in 3.29 seconds on a single GPU"): a whitened first
convolution that is not trained, convolutions that start as the identity, pooling before batch norm and
activation (a quarter of the memory traffic), batch norm without a scale, logits scaled down. Ours: residual
second convolutions, a head on the mean and the maximum of each map, and in the smallest net convolutions in two
steps, across channels and then across pixels (Howard et al. 2017, MobileNets, 3.1, has them in the other order).
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien.models.convolution import Conv2d
from mien.models.registry import register

ROUNDING = 2.0**-16  # variance that bf16's rounding adds to a patch, as a share of its values' mean square
LOGIT_SCALE = 0.25  # with unit-scale filters, unscaled logits diverge at the rates that work best


class WhitenedStem(nn.Conv2d):
    """A frozen convolution whose outputs are uncorrelated over patches of the training faces (Jordan 2024, 3.2)."""

    def __init__(self, channels: int, size: int, stride: int) -> None:
        patch_values = channels * size * size
        super().__init__(channels, 2 * patch_values, size, stride, padding=(size - 1) // 2, bias=False)
        self.weight.requires_grad_(False)

    @torch.no_grad()
    def fit(self, inputs: Tensor) -> None:
        """Set the filters to the whitening directions, and their negatives, of the inputs' patches."""
        size = self.kernel_size[0]
        patches = F.unfold(inputs, size, stride=size).transpose(1, 2).flatten(0, 1).double()  # (patches, C*size*size)
        covariance = patches.T @ patches / len(patches)
        variances, directions = torch.linalg.eigh(covariance)
        # 5e-4 as in Jordan 2024: without it the faintest directions would be noise, enlarged.
        directions = directions / (variances + 5e-4).sqrt()
        # Grey faces as RGB have directions without any variance: there bf16's rounding would be enlarged, and learnt.
        # Those that show something stand in for them.
        shown = torch.nonzero(variances >= ROUNDING * patches.square().mean())[:, 0]
        directions = directions[:, shown.repeat(len(variances))[: len(variances)]]
        filters = directions.T.reshape(-1, inputs.shape[1], size, size)
        self.weight.copy_(torch.cat([filters, -filters]))


MakeConv = Callable[[int, int], nn.Module]  # (channels in, channels) -> a convolution that keeps the size


class Group(nn.Module):
    """Convolution, pooling, norm, activation, then residual convolutions on the smaller map."""

    def __init__(self, channels_in: int, channels: int, *, pool: bool, residuals: int, conv: MakeConv) -> None:
        super().__init__()
        self.pool = pool
        self.first = conv(channels_in, channels)
        self.first_norm = bias_norm(channels)
        self.convs = nn.ModuleList(conv(channels, channels) for _ in range(residuals))
        self.norms = nn.ModuleList(bias_norm(channels) for _ in range(residuals))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, channels, H/2, W/2), or H, W without the pool."""
        x = self.first(x)
        if self.pool:
            x = F.max_pool2d(x, 2)
        x = F.gelu(self.first_norm(x))
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = x + F.gelu(norm(conv(x)))
        return x


class MienNet(nn.Module):
    """Whitened stem, groups, mean and maximum of each map, one affine layer."""

    sample_faces: int | None = 2048  # a quarter of a million patches: enough for the stem's covariance of 16 values

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        stride: int,
        groups: tuple[tuple[int, bool, int], ...],
        separable: bool = False,
    ) -> None:
        """Build the network.

        Args:
            channels: Of the input.
            classes: To tell apart.
            stride: Of the stem.
            groups: For each its width, whether it pools, and how many residual convolutions follow.
            separable: Whether its convolutions come in two steps: far fewer weights for the same width.
        """
        super().__init__()
        self.stem = WhitenedStem(channels, size=4, stride=stride)
        made, channels_in = [], self.stem.out_channels
        conv: MakeConv = separable_conv if separable else identity_conv
        for width, pool, residuals in groups:
            made.append(Group(channels_in, width, pool=pool, residuals=residuals, conv=conv))
            channels_in = width
        self.groups = nn.Sequential(*made)
        self.head = nn.Linear(2 * channels_in, classes, bias=False)

    def initialise_from(self, inputs: Tensor) -> None:
        """Fit the stem to a batch of unaugmented inputs, (N, C, H, W)."""
        self.stem.fit(inputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, (N, classes), for inputs of (N, C, H, W); any H = W of 16 or more."""
        x = self.stem(x)  # (N, 1, 44, 44) -> (N, 32, 43, 43) at stride 1
        x = self.groups(x)  # -> (N, 192, 5, 5)
        x = torch.cat([x.mean((2, 3)), x.amax((2, 3))], dim=1)  # -> (N, 384)
        logits: Tensor = self.head(x) * LOGIT_SCALE
        return logits


def identity_conv(channels_in: int, channels: int) -> Conv2d:
    """Return a 3x3 convolution without bias whose first filters pass their input on (Jordan 2024, 3.1)."""
    conv = Conv2d(channels_in, channels, 3, padding=1, bias=False)
    nn.init.dirac_(conv.weight.data[: min(channels_in, channels)])
    return conv


def separable_conv(channels_in: int, channels: int) -> nn.Sequential:
    """Return a 1x1 convolution across channels and a 3x3 one within each; both start near the identity."""
    across = nn.Conv2d(channels_in, channels, 1, bias=False)
    nn.init.dirac_(across.weight.data[: min(channels_in, channels)])
    within = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
    nn.init.dirac_(within.weight.data, groups=channels)
    within.weight.data += 0.1 * torch.randn_like(within.weight)
    return nn.Sequential(across, within)


def bias_norm(channels: int) -> nn.BatchNorm2d:
    """Return a batch norm that learns a bias and no scale (Jordan 2024, 3.1)."""
    norm = nn.BatchNorm2d(channels)
    norm.weight.requires_grad_(False)
    return norm


@register("mien-s", source="ours, after Jordan 2024", view_px=44)
def mien_s(channels: int, classes: int, view_px: int) -> nn.Module:
    """Return the small net: 1.0 M parameters, 84 M multiply-accumulates at 44 px."""
    return MienNet(channels, classes, stride=1, groups=((32, True, 1), (96, True, 2), (192, True, 2)))


@register("mien-m", source="ours, after Jordan 2024", view_px=44)
def mien_m(channels: int, classes: int, view_px: int) -> nn.Module:
    """Return the largest of ours: 3.0 M parameters, 246 M multiply-accumulates at 44 px."""
    return MienNet(channels, classes, stride=1, groups=((64, True, 2), (160, True, 2), (320, True, 2)))


@register("mien-xs", source="ours, after Jordan 2024 and Howard et al. 2017", view_px=44)
def mien_xs(channels: int, classes: int, view_px: int) -> nn.Module:
    """Return the smallest net for use: 143 k parameters, 13 M multiply-accumulates at 44 px."""
    return MienNet(channels, classes, stride=2, groups=((48, False, 1), (96, True, 3), (160, True, 3)), separable=True)


@register("mien-tiny", source="for tests and first tries", view_px=44)
def mien_tiny(channels: int, classes: int, view_px: int) -> nn.Module:
    """Return a net that trains in seconds: 16 k parameters; for tests and first tries, not for use."""
    return MienNet(channels, classes, stride=2, groups=((16, True, 0), (24, True, 0), (32, False, 0)))
