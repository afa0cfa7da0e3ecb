"""How fast training is: mien, the way everyone does it, and the ceiling, in one run on one machine.

    python benchmarks/training.py FACESET [RECIPE ...]

- mien: `mien.training.train`, as `mien train` runs it, augmentation and all; faces/s of the second epoch.
- usual: a Dataset of PIL pictures with a transform for each, a DataLoader with two workers, fp32, contiguous.
- ceiling: the same network and optimiser on one batch that lies in memory, no augmentation, at mien's precision.
- of ceiling: mien's share of it.
- of bf16: the share of this machine's own rate for a bf16 product of 2048 x 2048 matrices that mien's
  multiply-accumulates come to (forward once, backward twice).

The three are measured in turn, three times over; medians are printed. Run it on a quiet machine.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageEnhance
from rich.console import Console
from rich.table import Column, Table
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from mien.data.faceset import FaceSet, open_faceset
from mien.models.registry import build
from mien.models.summary import layers_of
from mien.preprocess import network_input
from mien.training.environment import native_bf16
from mien.training.optimiser import make_optimiser
from mien.training.recipe import Recipe, load_recipe
from mien.training.train import train

FACES = 12 * 256
ROUNDS = 3


class PictureDataset(Dataset[tuple[torch.Tensor, int]]):
    """One PIL picture after another, each transformed by itself: how most training code is written."""

    def __init__(self, faces: FaceSet, recipe: Recipe) -> None:
        self._faces, self._recipe, self._spec = faces, recipe, recipe.input.spec()

    def __len__(self) -> int:
        return len(self._faces)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        augmentation = self._recipe.augmentation
        picture = Image.fromarray(np.asarray(self._faces.faces_u8[index]))
        if augmentation.flip != "none" and np.random.random() < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if augmentation.rotation_deg:
            angle = np.random.uniform(-augmentation.rotation_deg, augmentation.rotation_deg)
            picture = picture.rotate(angle, Image.Resampling.BILINEAR)
        if augmentation.brightness:
            brightness = np.random.uniform(1 - augmentation.brightness, 1 + augmentation.brightness)
            picture = ImageEnhance.Brightness(picture).enhance(brightness)
        if augmentation.contrast:
            contrast = np.random.uniform(1 - augmentation.contrast, 1 + augmentation.contrast)
            picture = ImageEnhance.Contrast(picture).enhance(contrast)
        left, top = np.random.randint(0, self._spec.face_px - self._spec.view_px + 1, 2)
        picture = picture.crop((left, top, left + self._spec.view_px, top + self._spec.view_px))
        pixels = torch.from_numpy(np.asarray(picture, np.float32) / 255)[None]
        return (pixels - self._spec.mean[0]) / self._spec.std[0], int(self._faces.labels[index])


def faces_per_s_of_mien(recipe: Recipe, faces: FaceSet) -> float:
    with tempfile.TemporaryDirectory() as folder:
        faces.save(Path(folder) / "faces.faceset")
        run = train(recipe, data=Path(folder) / "faces.faceset", out=Path(folder))
        return float(run.metrics()[-1]["faces_per_s"])


def faces_per_s_of_steps(recipe: Recipe, batches: object, *, bf16: bool, channels_last: bool) -> float:
    """Train on batches of (inputs, labels); the first batch does not count."""
    network = build(recipe.network, channels=1, classes=7, view_px=recipe.input.view_px)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = network.to(memory_format=layout)
    optimiser = make_optimiser(network, recipe.optimiser)
    seen, started = 0, 0.0
    for step, (inputs, labels) in enumerate(batches):  # type: ignore[arg-type, var-annotated]
        if step == 1:
            started = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = network(inputs.contiguous(memory_format=layout)).float()
        F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing).backward()
        optimiser.step()
        optimiser.zero_grad()
        seen += len(labels) if step else 0
    return seen / (time.perf_counter() - started)


def bf16_macs_per_s() -> float:
    a, b = (torch.randn(2048, 2048, dtype=torch.bfloat16) for _ in range(2))
    a @ b
    started = time.perf_counter()
    for _ in range(10):
        a @ b
    return 10 * 2048**3 / (time.perf_counter() - started)


def main() -> None:
    faceset, names = open_faceset(Path(sys.argv[1])), sys.argv[2:] or ["mien-s"]
    learn = faceset.split("Training").take(slice(0, FACES))
    small = faceset.take(np.r_[np.flatnonzero(faceset.splits == 0)[:FACES], np.flatnonzero(faceset.splits == 1)[:256]])
    bf16 = native_bf16()
    console = Console()
    table = Table(Column("recipe", no_wrap=True), "mien", "usual", "times usual", "ceiling", "of ceiling", "of bf16")
    table.title = f"faces/s, medians of {ROUNDS}, {torch.get_num_threads()} threads, {'bf16' if bf16 else 'fp32'}"
    for name in names:
        recipe = load_recipe(name, ["epochs=2"])
        one = torch.from_numpy(network_input(np.asarray(learn.faces_u8[: recipe.batch_size]), recipe.input.spec()))
        labels = torch.from_numpy(learn.labels[: recipe.batch_size].astype(np.int64))
        again = [(one, labels)] * (FACES // recipe.batch_size)
        rounds: list[tuple[float, float, float, float]] = []
        for number in range(ROUNDS):
            console.print(f"{name}, round {number + 1} of {ROUNDS} …")
            loader = DataLoader(PictureDataset(learn, recipe), recipe.batch_size, shuffle=True, num_workers=2)
            rounds.append(
                (
                    faces_per_s_of_mien(recipe, small),
                    faces_per_s_of_steps(recipe, loader, bf16=False, channels_last=False),
                    faces_per_s_of_steps(recipe, again, bf16=bf16, channels_last=True),
                    bf16_macs_per_s(),
                )
            )
        mien, usual, ceiling, matrices = (statistics.median(column) for column in zip(*rounds, strict=True))
        layers = layers_of(recipe.network, channels=1, classes=7, view_px=recipe.input.view_px)
        share = 3 * sum(layer.macs for layer in layers) * mien / matrices
        ratios = [statistics.median(r[0] / r[k] for r in rounds) for k in (1, 2)]
        table.add_row(
            name,
            f"{mien:,.0f}",
            f"{usual:,.0f}",
            f"{ratios[0]:.1f}",
            f"{ceiling:,.0f}",
            f"{ratios[1]:.0%}",
            f"{share:.0%}",
        )
    console.print(table)


if __name__ == "__main__":
    main()
