"""The run folder: what a training leaves behind, and what evaluation and export start from.

runs/mien-s-001/
  recipe.yaml           the recipe with every override and default
  environment.json      versions, processor, threads, commit, hashes, seed
  metrics.csv           a row an epoch
  learning-curves.png   the same, drawn
  checkpoints/last.ckpt weights, their running mean, optimiser: enough to go on from
  teachers/, answers.npy  only where the recipe names teachers; see distillation.py
  predictions.parquet   the final weights' logits for each validation face; written last
"""

import csv
import glob
import json
import pickle
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.card import NOT_STATED, Calibration, ModelCard, Provenance, Score
from mien.errors import DataError, TrainingError
from mien.files import written_beside
from mien.labels import EIGHT_EXPRESSIONS, expression_named
from mien.models.registry import build
from mien.models.summary import layers_of
from mien.training.calibration import calibrate
from mien.training.recipe import Recipe
from mien.training.recipe_files import load_recipe

LOCK = ".lock"
LOOK_S = 1.0  # a look at whether a folder is locked takes the lock for a moment, which a training waits for


class RunFolder:
    """One training's folder. Opening it reads the recipe; the rest is read when asked for."""

    def __init__(self, path: Path) -> None:
        """Open a run.

        Raises:
            TrainingError: The folder is not a run folder.
        """
        self.path = path
        if not self.recipe_path.is_file():
            raise TrainingError(f"{path} is not a run folder (it has no recipe.yaml); `mien train` makes one.")
        self.recipe: Recipe = load_recipe(str(self.recipe_path))

    @property
    def recipe_path(self) -> Path:
        """The recipe with every override and default."""
        return self.path / "recipe.yaml"

    @property
    def environment_path(self) -> Path:
        """Versions, processor, hashes, seed."""
        return self.path / "environment.json"

    @property
    def metrics_path(self) -> Path:
        """A row an epoch."""
        return self.path / "metrics.csv"

    @property
    def curves_path(self) -> Path:
        """The metrics, drawn."""
        return self.path / "learning-curves.png"

    @property
    def checkpoint_path(self) -> Path:
        """The newest checkpoint."""
        return self.path / "checkpoints" / "last.ckpt"

    @property
    def predictions_path(self) -> Path:
        """Logits of the validation faces."""
        return self.path / "predictions.parquet"

    @property
    def answers_path(self) -> Path:
        """What teachers answered for the training faces, (N, K) float32."""
        return self.path / "answers.npy"

    @property
    def finished(self) -> bool:
        """Whether it has trained to its end."""
        return self.predictions_path.is_file()

    @staticmethod
    def next_path(parent: Path, recipe: Recipe) -> Path:
        """Return PARENT/NAME-001, or the next number that is free.

        Raises:
            TrainingError: The parent is itself a run folder.
        """
        stem = recipe.name.replace("/", "-")
        ends = (path.name.removeprefix(f"{stem}-") for path in parent.glob(f"{glob.escape(stem)}-*"))
        taken = [int(end) for end in ends if end.isdecimal()]
        if (parent / "recipe.yaml").is_file():
            raise TrainingError(
                f"{parent} is itself a run folder; go on with it by --resume {parent}, or choose another --out."
            )
        return parent / f"{stem}-{max(taken, default=0) + 1:03d}"

    @classmethod
    def make(cls, path: Path, recipe: Recipe) -> "RunFolder":
        """Make a run folder that holds nothing but the recipe."""
        (path / "checkpoints").mkdir(parents=True)
        (path / "recipe.yaml").write_text(recipe.to_yaml(), encoding="utf-8")
        return cls(path)

    @property
    def is_locked(self) -> bool:
        """Whether a process is training in this folder now."""
        try:
            with FileLock(self.path / LOCK, timeout=0):
                return False
        except Timeout:
            return True

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other process from training in this folder; the lock goes with the process, however it ends.

        Raises:
            TrainingError: Another process is training in it.
        """
        try:
            with FileLock(self.path / LOCK, timeout=LOOK_S):
                for half_written in [*self.path.rglob(".*.part*")]:  # by a process that was killed
                    if half_written.is_dir():
                        shutil.rmtree(half_written)
                    else:
                        half_written.unlink(missing_ok=True)
                yield
        except Timeout:
            raise TrainingError(f"Another process is training in {self.path}; wait for it, or start anew.") from None

    def environment(self) -> dict[str, Any]:
        """Return what environment.json says.

        Raises:
            TrainingError: It is missing or broken.
        """
        try:
            environment: dict[str, Any] = json.loads(self.environment_path.read_text())
        except (OSError, ValueError) as error:
            raise TrainingError(f"{self.environment_path} is missing or broken; start a new run.") from error
        return environment

    def data_folder(self, now: Path | None = None) -> Path:
        """Return the folder of its FaceSet: where it lies now, if that is said, or where it lay when the run began.

        Raises:
            DataError: It is no longer there.
        """
        folder = now or Path(self.environment()["data_folder"])
        if now is None and not folder.exists():
            raise DataError(f"{folder}, on which {self.path} was trained, is gone; say where it is now with --data.")
        return folder

    def check_checkpoint(self) -> None:
        """Raise TrainingError unless there is a checkpoint, whole by its table of contents."""
        if self.checkpoint_path.is_file():
            if not zipfile.is_zipfile(self.checkpoint_path):
                raise TrainingError(f"{self.checkpoint_path} is broken; copy it back, or start a new run.")
            return
        if self.finished:
            raise TrainingError(
                f"{self.checkpoint_path} is gone, and with it the trained network; copy it back, or train it again: "
                f"mien train {self.recipe_path} --data FACESET."
            )
        raise TrainingError(f"{self.path} has no checkpoint yet; let it train for an epoch at least.")

    def network(self, *, by_votes: bool = False) -> nn.Module:
        """Return the network with the run's final weights (their running mean), in evaluation mode.

        Args:
            by_votes: Its outputs are those of the second head, which learnt the votes: the eight expressions of FER+.

        Raises:
            TrainingError: The run has no checkpoint yet, or a broken one; or no second head.
        """
        if by_votes and not self.recipe.targets.vote_head:
            raise TrainingError(
                f"{self.path} has no second head on votes; train one with targets.vote_head (as mien-s-taught)."
            )
        network = self.new_network()
        network.load_state_dict(self.weights())
        if self.recipe.targets.vote_head:
            network = OneHead(network, self._columns(by_votes=by_votes))
        return network.eval()

    def weights(self) -> dict[str, Tensor]:
        """Return the run's final weights (their running mean), by their names in the network.

        Raises:
            TrainingError: The run has no checkpoint yet, or a broken one.
        """
        self.check_checkpoint()
        try:
            checkpoint = torch.load(self.checkpoint_path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise TrainingError(f"{self.checkpoint_path} is broken; copy it back, or start a new run.") from error
        return {name.removeprefix("network."): value for name, value in checkpoint["state_dict"].items()}

    def new_network(self) -> nn.Module:
        """Return the untrained network, with an output for each of `outputs`."""
        return build(
            self.recipe.network,
            channels=self.recipe.input.channels,
            classes=len(self.outputs()),
            view_px=self.recipe.input.view_px,
        )

    def outputs(self) -> list[str]:
        """Return what each of the network's outputs is about: the classes, then the kinds of vote with that head."""
        environment = self.environment()
        votes = environment["vote_names"] if self.recipe.targets.vote_head else []
        return [*environment["labels"], *(f"votes for {name}" for name in votes)]

    def _columns(self, *, by_votes: bool) -> list[int]:
        """Return which outputs of a network with two heads are the one that is asked."""
        environment = self.environment()
        classes = len(environment["labels"])
        if not by_votes:
            return list(range(classes))
        votes = [expression_named(name) for name in environment["vote_names"]]
        return [classes + votes.index(name) for name in EIGHT_EXPRESSIONS]

    def metrics(self) -> list[dict[str, str]]:
        """Return the rows of metrics.csv, one for each epoch so far.

        Raises:
            TrainingError: It is not what a training writes.
        """
        if not self.metrics_path.is_file():
            return []
        with self.metrics_path.open(newline="", errors="replace") as file:
            table = csv.DictReader(file)
            rows = list(table)
        if table.fieldnames is None or table.fieldnames[0] != "epoch":
            raise TrainingError(f"{self.metrics_path} is broken; copy it back, or start a new run.")
        return rows

    def accuracy(self) -> float | None:
        """Return the share of the validation faces that it calls right, 0-1; None before its first epoch.

        Of a finished run it is that of its predictions, which every report uses. metrics.csv has the same epoch in the
        training's own precision, and where that is bf16 some faces fall to the other side.
        """
        if self.finished:
            logits, labels = self.predictions()
            return float((logits.argmax(1) == labels).mean())
        rows = self.metrics()
        return float(rows[-1]["validation_accuracy"]) if rows else None

    def write_predictions(
        self, logits: NDArray[np.float32], labels: NDArray[np.integer], names: tuple[str, ...]
    ) -> None:
        """Write the validation faces' logits, (N, K), beside their labels."""
        columns = {"label": pa.array(labels.astype(np.int8))}
        columns |= {f"logit_{name}": pa.array(logits[:, k]) for k, name in enumerate(names)}
        with written_beside(self.predictions_path) as beside, beside.open("wb") as file:
            pq.write_table(pa.table(columns), file)  # pyarrow takes no path that is not UTF-8

    def predictions(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return logits (N, K) and labels (N,) of the validation faces, in the FaceSet's order.

        Raises:
            TrainingError: The run has not finished, or the file is broken.
        """
        if not self.finished:
            raise TrainingError(f"{self.path} has not finished; go on with: mien train --resume {self.path}")
        try:
            with self.predictions_path.open("rb") as file:
                table = pq.read_table(file)
        except (pa.ArrowException, OSError) as error:
            raise TrainingError(
                f"{self.predictions_path} is broken; delete it, and mien train --resume {self.path} makes it anew."
            ) from error
        logits = np.stack([column.to_numpy() for column in table.columns[1:]], axis=1)
        return logits, table["label"].to_numpy().astype(np.int64)

    def card(self, *, licence: str = NOT_STATED) -> ModelCard:
        """Return the card of the finished run: what it is, how it was made, how good it measured.

        Args:
            licence: Under which its maker gives it away; terms of weights that it started from are added.
        """
        environment, recipe = self.environment(), self.recipe
        logits, labels = self.predictions()
        spec = recipe.input.spec()
        layers = layers_of(
            recipe.network, channels=spec.channels, classes=len(environment["labels"]), view_px=spec.view_px
        )
        return ModelCard(
            name=recipe.name,
            network=str(recipe.network),
            labels=tuple(environment["labels"]),
            input=spec,
            parameters=sum(layer.parameters for layer in layers),
            macs=sum(layer.macs for layer in layers),
            calibration=self.calibration(),
            provenance=Provenance(
                recipe=recipe.name,
                recipe_sha256=recipe.sha256(),
                data=environment["data"],
                data_sha256=environment["data_sha256"],
                commit=environment["commit"],
                seed=recipe.seed,
                epochs=len(self.metrics()),
                start=environment.get("start", "scratch"),
            ),
            score=Score.measured(logits, labels, split=recipe.data.validate_on),
            licence="; ".join(filter(None, (licence, environment.get("start_terms")))),
        )

    def calibration(self) -> Calibration:
        """Return the calibration fitted on the run's own validation faces."""
        logits, labels = self.predictions()
        return calibrate(logits, labels, split=self.recipe.data.validate_on, coverage=self.recipe.coverage)


class OneHead(nn.Module):
    """One of the two heads that a network was trained with."""

    def __init__(self, network: nn.Module, columns: list[int]) -> None:
        super().__init__()
        self.network = network
        self._columns = columns

    def forward(self, x: Tensor) -> Tensor:
        """Return that head's logits alone, (N, columns)."""
        logits: Tensor = self.network(x)[:, self._columns]
        return logits
