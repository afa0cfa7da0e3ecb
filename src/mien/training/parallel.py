"""One training in several processes, on this machine or on several: Lightning's DDP, over gloo on processors.

Each process takes its part of every batch and the gradients are averaged, so a recipe means the same with one process
or with eight, but for batch norms, which are taken over a process's own part. The leader keeps the run folder; the
others work in a scratch folder that goes when they end.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as pl
import torch
from torch import nn

from mien.errors import TrainingError
from mien.training.recipe import Recipe
from mien.words import counted


@dataclass(frozen=True, slots=True)
class Parallel:
    """Over which processes a training is spread.

    Attributes:
        devices: Processes on each machine; one for each GPU, where there are GPUs.
        nodes: Machines.
        node: Which of them this is, from 0; machine 0 leads and keeps the run.
        leader: HOST:PORT at which the others find machine 0; only needed with several machines.
    """

    devices: int = 1
    nodes: int = 1
    node: int = 0
    leader: str | None = None

    @property
    def processes(self) -> int:
        """How many processes train together."""
        return self.devices * self.nodes

    @property
    def leads(self) -> bool:
        """Whether this process is the one that keeps the run."""
        return self.node == 0 and int(os.environ.get("LOCAL_RANK", "0")) == 0

    def check(self, recipe: Recipe, faces: int) -> None:
        """Raise TrainingError unless the recipe can be trained so on so many faces."""
        if not 0 <= self.node < self.nodes:
            raise TrainingError(
                f"--node is 0 to {self.nodes - 1} with --nodes {self.nodes}; got {self.node}. Say on every machine how "
                "many there are."
            )
        if self.leader is not None and not re.fullmatch(r".+:\d+", self.leader):
            raise TrainingError(f"--leader is HOST:PORT, as in 192.168.1.10:29500; got {self.leader}.")
        batch = min(recipe.batch_size, faces)  # as TrainingBatches has it
        if batch // self.processes < 2:
            of = "one process has" if self.processes == 1 else f"{self.processes} processes share"
            raise TrainingError(
                f"A step needs two faces in each process, for its norms, and {of} {counted(batch, 'face')}; take a "
                "larger batch_size, fewer processes or more faces."
            )
        if self.processes == 1:
            return
        if self.nodes > 1 and self.leader is None:
            raise TrainingError(
                f"--nodes {self.nodes} needs --leader HOST:PORT, the address of the machine with --node 0 and a port "
                "that is free on it."
            )
        if batch % self.processes:
            few = "" if batch == recipe.batch_size else f", and there are {counted(faces, 'face')} to learn from"
            raise TrainingError(
                f"{self.processes} processes cannot share a batch of {batch} evenly{few}; "
                f"choose a multiple of {self.processes} with --set batch_size=…"
            )
        if recipe.teachers:
            raise TrainingError(
                "Teachers are trained by one process; train a recipe with teachers without --devices and --nodes."
            )

    def announce(self) -> None:
        """Tell Lightning, which reads the environment, where the leader is and which machine this is."""
        if self.leader is not None:
            host, _, port = self.leader.rpartition(":")
            os.environ |= {"MASTER_ADDR": host, "MASTER_PORT": port, "NODE_RANK": str(self.node)}

    @contextmanager
    def folder(self, out: Path) -> Iterator[Path]:
        """Yield `out` to the leader, and a scratch folder to everyone else."""
        if self.leads:
            yield out
            return
        with tempfile.TemporaryDirectory(prefix="mien-") as scratch:
            yield Path(scratch)

    @contextmanager
    def folder_with(self, run: Path) -> Iterator[Path]:
        """Yield `run` to the leader, and a copy of it to everyone else."""
        with self.folder(run) as folder:
            if folder != run:
                shutil.copytree(run, folder / run.name, ignore=shutil.ignore_patterns(".*"))
                folder = folder / run.name
            yield folder


ONE_PROCESS = Parallel()


def part(trainer: pl.Trainer) -> None:
    """Take the group of processes down, in every process at once.

    Left to the interpreter's end, gloo's threads are torn down while they run, and a process that did all its work
    now and then aborts with "terminate called without an active exception".
    """
    if trainer.world_size > 1 and torch.distributed.is_initialized():
        trainer.strategy.barrier()
        torch.distributed.destroy_process_group()


class SameStart(pl.Callback):
    """Raises TrainingError unless every process learns from the same faces, by one recipe and in one precision."""

    def __init__(self, data_sha256: str, recipe_sha256: str, precision: str) -> None:
        self._hashes = [int(sha256[:12], 16) for sha256 in (data_sha256, recipe_sha256)]
        self._precision = precision == "bf16"

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Ask all."""
        ours = torch.tensor([*self._hashes, self._precision])
        if trainer.world_size > 1 and not (trainer.strategy.all_gather(ours) == ours).all():
            raise TrainingError(
                "The machines do not start alike: their FaceSets or recipes differ, or one has bf16 and another not; "
                "copy one FaceSet to all, give the same --set everywhere, and say --set precision=fp32."
            )


def check_agreement(trainer: pl.Trainer, network: nn.Module) -> None:
    """Raise TrainingError unless every process ended with the same weights, bit for bit."""
    if trainer.world_size == 1:
        return
    weights = torch.cat([parameter.detach().double().flatten() for parameter in network.parameters()])
    signature = torch.stack([weights.sum(), weights.abs().sum(), weights @ torch.arange(len(weights)).to(weights)])
    everywhere = trainer.strategy.all_gather(signature)  # (processes, 3)
    if not (everywhere == signature).all():
        raise TrainingError(
            f"The {trainer.world_size} processes ended with different weights; do not use this run, and report it."
        )
