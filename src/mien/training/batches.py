"""The order in which faces are seen: every draw follows from seed, epoch and step alone.

So a run that is stopped and goes on sees just what it would have seen, with no state of random numbers to keep.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from mien.training.recipe import Flip


class Batch(NamedTuple):
    """One step's faces.

    Attributes:
        faces_u8: (N, S, S) or (N, S, S, 3) uint8.
        targets: (N, K) float32, rows summing to 1: what the network is to answer.
        votes: (N, V) float32, rows summing to 1: what a second head is to answer; V = 0 without one.
        mirrored: (N,) bool, the faces whose turn it is to be mirrored.
        features: Further inputs of the network, (N, F) each, that were computed before training; often none.
        seed: Seeds the augmentation of this step.
    """

    faces_u8: Tensor
    targets: Tensor
    votes: Tensor
    mirrored: Tensor
    seed: int
    features: tuple[Tensor, ...] = ()


class TrainingBatches:
    """Batches of one epoch after another, shuffled anew for each; what is left over at the end is dropped.

    So are batches too few for a step of `accumulate`.

    Where several processes train together, each takes every n-th face of a batch.

    Attributes:
        epoch: Whose batches are drawn, counted from 0.
        first: Of them, the one to begin with, from 0: where a run goes on within an epoch.
        drawn: How many of them have been drawn, those before the first included.
        accumulate: Batches whose gradients make a step: as many as asked for, or as an epoch has.
        process: Which of the processes this is, from 0.
        processes: How many there are.
    """

    def __init__(
        self,
        faces_u8: NDArray[np.uint8],
        targets: NDArray[np.float32],
        votes: NDArray[np.float32] | None = None,
        *,
        batch_size: int,
        seed: int,
        flip: Flip,
        accumulate: int = 1,
        features: Tensor | None = None,
    ) -> None:
        """Prepare the batches.

        Args:
            faces_u8: (N, S, S) or (N, S, S, 3).
            targets: (N, K), rows summing to 1.
            votes: (N, V), rows summing to 1, for a second head.
            batch_size: Faces in a batch.
            seed: Decides every draw.
            flip: When a face is mirrored; see the recipe's `augmentation.flip`.
            accumulate: Batches whose gradients make a step.
            features: (2, N, F) further inputs, for each face and for its mirror.
        """
        self._faces_u8 = torch.from_numpy(np.array(faces_u8))  # a copy in memory: shuffled reads want no disk
        self._targets = torch.from_numpy(targets)
        self._votes = torch.zeros(len(faces_u8), 0) if votes is None else torch.from_numpy(votes)
        self._batch_size = min(batch_size, len(faces_u8))
        self._seed = seed
        self._flip = flip
        self._features = features
        self.epoch = self.first = self.drawn = 0
        self.process, self.processes = 0, 1
        self._whole = len(faces_u8) * (2 if flip == "both" else 1) // self._batch_size
        self.accumulate = min(accumulate, self._whole)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return self._whole - self._whole % self.accumulate

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of `self.epoch` from the first on."""
        mirrored = self._mirrored()
        order = torch.randperm(len(mirrored), generator=generator(self._seed, self.epoch))
        for step in range(self.first, len(self)):
            self.drawn = step + 1
            looks = order[step * self._batch_size : (step + 1) * self._batch_size][self.process :: self.processes]
            rows, turned = looks % len(self._targets), mirrored[looks]
            yield Batch(
                self._faces_u8[rows],
                self._targets[rows],
                self._votes[rows],
                turned,
                draw_seed(self._seed, self.epoch, step, *([self.process] if self.process else [])),
                () if self._features is None else (self._features[turned.long(), rows],),
            )

    def _mirrored(self) -> Tensor:
        """Return for each look of this epoch whether it is at the mirror; look i is at face i modulo their number."""
        count = len(self._targets)
        if self._flip == "none":
            return torch.zeros(count, dtype=torch.bool)
        if self._flip == "both":
            return torch.arange(2 * count) >= count
        if self._flip == "random":
            return torch.randint(2, (count,), generator=generator(self._seed, self.epoch, 0, 0)).bool()
        # A random half is mirrored in even epochs, the other half in odd ones (Jordan 2024, section 3.6).
        first_half = torch.randint(2, (count,), generator=generator(self._seed)).bool()
        return first_half if self.epoch % 2 == 0 else ~first_half


def draw_seed(*path: int) -> int:
    """Return a seed that belongs to (seed, epoch, step), unrelated to its neighbours'.

    Zeros at the end of a path do not count, so an epoch's order, its mirrored half and its first step draw from one
    stream, for different things; another rule would draw anew what published runs drew.
    """
    return int(np.random.SeedSequence(path).generate_state(1, np.uint64)[0] >> np.uint64(1))


def generator(*path: int) -> Generator:
    """Return a random generator seeded by (seed, epoch, step)."""
    return Generator().manual_seed(draw_seed(*path))
