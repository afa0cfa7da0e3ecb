"""The order in which faces are seen: every draw follows from seed, epoch and step alone.

So a run that is stopped and goes on sees just what it would have seen, with no state of random numbers to keep.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from mien.data.faceset import FaceSet


class Batch(NamedTuple):
    """One step's faces.

    Attributes:
        faces_u8: (N, S, S) or (N, S, S, 3) uint8.
        labels: (N,) int64.
        mirrored: (N,) bool, the faces whose turn it is to be mirrored.
        seed: Seeds the augmentation of this step.
    """

    faces_u8: Tensor
    labels: Tensor
    mirrored: Tensor
    seed: int


class TrainingBatches:
    """Batches of one epoch after another, shuffled anew for each; what is left over at the end is dropped."""

    def __init__(self, faces: FaceSet, *, batch_size: int, seed: int, flip: bool) -> None:
        self._faces_u8 = torch.from_numpy(np.array(faces.faces_u8))  # a copy in memory: shuffled reads want no disk
        self._labels = torch.from_numpy(faces.labels.astype(np.int64))
        self._batch_size = min(batch_size, len(faces))
        self._seed = seed
        # A random half is mirrored in even epochs, the other half in odd ones (Jordan 2024, section 3.6).
        first_half = torch.randint(2, (len(faces),), generator=generator(seed)).bool()
        self._mirrored_in = (first_half, ~first_half) if flip else (torch.zeros(len(faces), dtype=torch.bool),) * 2
        self.epoch = 0

    def __len__(self) -> int:
        """Return the number of steps in an epoch."""
        return len(self._labels) // self._batch_size

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of `self.epoch`."""
        order = torch.randperm(len(self._labels), generator=generator(self._seed, self.epoch))
        for step in range(len(self)):
            rows = order[step * self._batch_size : (step + 1) * self._batch_size]
            yield Batch(
                self._faces_u8[rows],
                self._labels[rows],
                self._mirrored_in[self.epoch % 2][rows],
                draw_seed(self._seed, self.epoch, step),
            )


def draw_seed(*path: int) -> int:
    """Return a seed that belongs to (seed, epoch, step), unrelated to its neighbours'."""
    return int(np.random.SeedSequence(path).generate_state(1, np.uint64)[0] >> np.uint64(1))


def generator(*path: int) -> Generator:
    """Return a random generator seeded by (seed, epoch, step)."""
    return Generator().manual_seed(draw_seed(*path))
