"""How fast training is: mien, the way everyone does it, and the ceiling, in one run on one machine.

    python benchmarks/training.py FACESET [RECIPE ...] [--rounds 3]

- mien: `mien.training.train`, as `mien train` runs it, augmentation and all; faces/s of the second epoch.
- usual: a Dataset of PIL pictures with a transform for each, a DataLoader with two workers, fp32, contiguous.
- ceiling: the same network and optimiser on one batch that lies in memory, no augmentation, at mien's precision.
- of ceiling: mien's share of it.
- of matmul: the share of this machine's own rate for a product of 2048 x 2048 matrices, in bf16 where the processor has
  instructions for it, that mien's multiply-accumulates come to (forward once, backward twice).

The three are measured in turn, several times over, each in a process of its own, since `train` tunes the allocator of
the process it runs in; medians are printed. Run it on a quiet machine.
"""

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
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
from mien.training.memory import keep_freed_memory
from mien.training.optimiser import make_optimiser
from mien.training.recipe import Recipe
from mien.training.recipe_files import load_recipe
from mien.training.train import train

FACES = 12 * 256


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


def mien(faceset: Path, recipe: Recipe) -> float:
    """Return faces/s of `train`."""
    faces = open_faceset(faceset)
    small = faces.take(np.r_[np.flatnonzero(faces.splits == 0)[:FACES], np.flatnonzero(faces.splits == 1)[:256]])
    with tempfile.TemporaryDirectory() as folder:
        small.save(Path(folder) / "faces.faceset")
        run = train(recipe, data=Path(folder) / "faces.faceset", out=Path(folder))
        return float(run.metrics()[-1]["faces_per_s"])


def usual(faceset: Path, recipe: Recipe) -> float:
    """Return faces/s of the usual way."""
    learn = open_faceset(faceset).split("Training")
    dataset = PictureDataset(learn.take(slice(0, FACES)), recipe)
    loader = DataLoader(dataset, recipe.batch_size, shuffle=True, num_workers=2, multiprocessing_context="fork")
    return _faces_per_s(recipe, loader, bf16=False, channels_last=False)


def ceiling(faceset: Path, recipe: Recipe) -> float:
    """Return faces/s of mien's network, precision and allocator on one batch in memory."""
    keep_freed_memory()
    learn = open_faceset(faceset).split("Training")
    one = torch.from_numpy(network_input(np.asarray(learn.faces_u8[: recipe.batch_size]), recipe.input.spec()))
    labels = torch.from_numpy(learn.labels[: recipe.batch_size].astype(np.int64))
    batches = [(one, labels)] * (min(FACES, len(learn)) // recipe.batch_size)
    return _faces_per_s(recipe, batches, bf16=native_bf16(), channels_last=True)


def matmul_rate() -> float:
    """Return multiply-accumulates/s of large products; bf16 without its instructions would take minutes."""
    a, b = (torch.randn(2048, 2048, dtype=torch.bfloat16 if native_bf16() else torch.float32) for _ in range(2))
    a @ b
    started = time.perf_counter()
    for _ in range(10):
        a @ b
    return 10 * 2048**3 / (time.perf_counter() - started)


def _faces_per_s(recipe: Recipe, batches: object, *, bf16: bool, channels_last: bool) -> float:
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


def _apart(way: Callable[..., float], *arguments: object) -> float:
    """Return what a function gives in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(way, *arguments).result()


def main(faceset: Path, names: list[str], number_of_rounds: int) -> None:
    """Measure each recipe and print the table."""
    console = Console()
    table = Table(Column("recipe", no_wrap=True), "mien", "usual", "times usual", "ceiling", "of ceiling", "of matmul")
    precision = "bf16" if native_bf16() else "fp32"
    table.title = f"faces/s, medians of {number_of_rounds}, {torch.get_num_threads()} threads, {precision}"
    for name in names:
        recipe = load_recipe(name, ["epochs=2"])
        rounds: list[list[float]] = []
        for number in range(number_of_rounds):
            console.print(f"{name}, round {number + 1} of {number_of_rounds} …")
            rounds.append([*(_apart(way, faceset, recipe) for way in (mien, usual, ceiling)), _apart(matmul_rate)])
        ours, theirs, most, matrices = (statistics.median(column) for column in zip(*rounds, strict=True))
        layers = layers_of(recipe.network, channels=1, classes=7, view_px=recipe.input.view_px)
        share = 3 * sum(layer.macs for layer in layers) * ours / matrices
        times_usual, of_ceiling = (statistics.median(r[0] / r[k] for r in rounds) for k in (1, 2))
        table.add_row(
            recipe.name,
            f"{ours:,.0f}",
            f"{theirs:,.0f}",
            f"{times_usual:.1f}",
            f"{most:,.0f}",
            f"{of_ceiling:.0%}",
            f"{share:.0%}",
        )
    console.print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("faceset", type=Path)
    parser.add_argument("recipes", nargs="*", default=["mien-s"])
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    main(given.faceset, given.recipes, given.rounds)
