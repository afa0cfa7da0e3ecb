"""Augmentation: a batch of uint8 faces -> a batch of network inputs, each face changed a little.

All of a batch at once, on tensors, on whatever device they are. One affine warp does flip, rotation, zoom, shift and
the crop to the network's view; nothing is sampled twice. Every draw comes from the generator that is passed in, which
lives on the CPU, so that a seed means the same on every device.
"""

import math

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from mien.preprocess import InputSpec, normalisation
from mien.training.recipe import AugmentationSection


def augment(
    faces_u8: Tensor, mirrored: Tensor, recipe: AugmentationSection, spec: InputSpec, generator: Generator, view_px: int
) -> Tensor:
    """Return network inputs, each face moved, blurred, lit, made noisy and covered by its own draw.

    Args:
        faces_u8: (N, S, S) or (N, S, S, 3) uint8, S = spec.face_px.
        mirrored: (N,) bool, the faces to mirror.
        recipe: How much of each.
        spec: The network's input.
        generator: Source of every draw.
        view_px: Side at which the view is drawn: spec.view_px, or less to learn from smaller pictures first.

    Returns:
        (N, channels, view_px, view_px) float32, normalised.
    """
    planes = faces_u8[:, None] if faces_u8.ndim == 3 else faces_u8.permute(0, 3, 1, 2)
    planes = warp(planes.float(), mirrored, recipe, spec, generator, view_px)
    planes = soften(planes, recipe, generator)
    planes = relight(planes, recipe, generator)
    planes = add_noise(planes, recipe, generator)
    scale, offset = (torch.from_numpy(array).to(planes.device) for array in normalisation(spec))
    return cut_out(planes * scale + offset, recipe, generator)


def warp(
    planes: Tensor, mirrored: Tensor, recipe: AugmentationSection, spec: InputSpec, generator: Generator, view_px: int
) -> Tensor:
    """Return (N, C, view_px, view_px): flipped, rotated, zoomed and shifted; beyond the crop its border goes on."""
    count = len(planes)
    angle = _uniform(planes, math.radians(recipe.rotation_deg), generator)
    zoom = 1 + _uniform(planes, recipe.zoom, generator)
    shift_x, shift_y = (_uniform(planes, recipe.shift_px, generator) for _ in range(2))
    sign = 1 - 2 * mirrored.float()
    cos, sin = angle.cos() / zoom, angle.sin() / zoom
    # Rows of the map from a pixel of the view to a pixel of the crop, both counted from their centres.
    across = torch.stack([sign * cos, -sign * sin, shift_x * 2 / (spec.view_px - 1)], dim=1)
    down = torch.stack([sin, cos, shift_y * 2 / (spec.view_px - 1)], dim=1)
    # grid_sample measures from -1 to 1 over the crop, affine_grid over the view.
    theta = torch.stack([across, down], dim=1) * ((spec.view_px - 1) / (spec.face_px - 1))
    grid = F.affine_grid(theta, [count, planes.shape[1], view_px, view_px], align_corners=True)
    return F.grid_sample(planes, grid, padding_mode="border", align_corners=True)


def soften(planes: Tensor, recipe: AugmentationSection, generator: Generator) -> Tensor:
    """Return planes with a share of the faces out of focus: a Gaussian blur, beyond the border the border again."""
    if recipe.blur == 0:
        return planes
    rows, strength = _chosen(planes, recipe.blur_share, generator)
    largest_px = recipe.blur * planes.shape[3]
    radius = math.ceil(3 * largest_px)
    offsets = torch.arange(-radius, radius + 1)
    taps = torch.exp(-0.5 * (offsets / (largest_px * strength[:, None]).clamp(min=1e-3)) ** 2)
    taps = (taps / taps.sum(1, keepdim=True)).to(planes.device)
    blurred = planes[rows]
    for axis, border in ((2, (0, 0, radius, radius)), (3, (radius, radius, 0, 0))):
        wider = F.pad(blurred, border, mode="replicate")
        # One tap after the other: for kernels that differ from face to face, faster than a grouped convolution.
        blurred = torch.zeros_like(blurred)
        for k in range(len(offsets)):
            blurred.addcmul_(wider.narrow(axis, k, planes.shape[axis]), taps[:, k].view(-1, 1, 1, 1))
    return planes.index_copy(0, rows, blurred)


def relight(planes: Tensor, recipe: AugmentationSection, generator: Generator) -> Tensor:
    """Return pixel values of 0-255 with contrast and brightness changed, clipped to that range."""
    contrast = 1 + _uniform(planes, recipe.contrast, generator).view(-1, 1, 1, 1)
    brightness = 255 * _uniform(planes, recipe.brightness, generator).view(-1, 1, 1, 1)
    mean = planes.mean((1, 2, 3), keepdim=True)
    return ((planes - mean) * contrast + mean + brightness).clamp(0, 255)


def add_noise(planes: Tensor, recipe: AugmentationSection, generator: Generator) -> Tensor:
    """Return pixel values of 0-255 with Gaussian noise on each pixel of a share of the faces, clipped to that range."""
    if recipe.noise == 0:
        return planes
    rows, strength = _chosen(planes, recipe.noise_share, generator)
    noise = torch.randn((len(rows), *planes.shape[1:]), generator=generator)
    noise *= 255 * recipe.noise * strength.view(-1, 1, 1, 1)
    return planes.index_copy(0, rows, (planes[rows] + noise.to(planes.device)).clamp(0, 255))


def cut_out(inputs: Tensor, recipe: AugmentationSection, generator: Generator) -> Tensor:
    """Return inputs with a square of zeros (the mean, once normalised) in a share of them (DeVries & Taylor 2017)."""
    if recipe.cutout_px == 0:
        return inputs
    count, _, height, width = inputs.shape
    covered = torch.rand(count, generator=generator) < recipe.cutout_share

    def inside(size: int) -> Tensor:
        centre = torch.randint(size, (count, 1), generator=generator)
        offset = torch.arange(size) - centre + recipe.cutout_px // 2
        return (offset >= 0) & (offset < recipe.cutout_px)  # (N, size)

    square = inside(height)[:, :, None] & inside(width)[:, None, :]  # (N, H, W)
    return inputs.masked_fill((square & covered[:, None, None])[:, None].to(inputs.device), 0.0)


def mix(inputs: Tensor, targets: Tensor, recipe: AugmentationSection, generator: Generator) -> tuple[Tensor, Tensor]:
    """Return inputs and targets, in a share of the batches mixed with those of another face (Zhang et al. 2018).

    Args:
        inputs: (N, C, H, W).
        targets: (N, K), rows summing to 1.
        recipe: How strongly and how often.
        generator: Source of every draw.
    """
    if recipe.mixup_alpha == 0 or float(torch.rand(1, generator=generator)) >= recipe.mixup_share:
        return inputs, targets
    seed = int(torch.randint(2**31, (1,), generator=generator))
    # numpy's, since torch's Beta takes no generator
    share = float(np.random.default_rng(seed).beta(recipe.mixup_alpha, recipe.mixup_alpha))
    partner = torch.randperm(len(inputs), generator=generator).to(inputs.device)
    return share * inputs + (1 - share) * inputs[partner], share * targets + (1 - share) * targets[partner]


def _chosen(planes: Tensor, share: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """Return the rows of about that share of the faces, on their device, and a draw of 0-1 for each, on the CPU."""
    rows = (torch.rand(len(planes), generator=generator) < share).nonzero()[:, 0]
    return rows.to(planes.device), torch.rand(len(rows), generator=generator)


def _uniform(planes: Tensor, limit: float, generator: Generator) -> Tensor:
    """Return a draw between -limit and limit for each face of a batch, (N,), on its device."""
    return ((2 * torch.rand(len(planes), generator=generator) - 1) * limit).to(planes.device)
