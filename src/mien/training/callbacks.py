"""What happens around the steps: the epoch is set, the metrics kept and drawn, the watcher told."""

import csv
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any

import lightning.pytorch as pl

from mien.errors import TrainingError
from mien.files import written_beside
from mien.training.batches import TrainingBatches
from mien.training.curves import draw_curves
from mien.training.run_folder import RunFolder
from mien.training.watcher import EpochMetrics, StepProgress, Watcher

TRY_A_LOWER_RATE = (
    "nothing of this epoch is saved. Try a lower rate, as in --set optimiser.lr=0.02 --set optimiser.muon_lr=0.04."
)
CURVES_EVERY_S = 5.0  # a drawing takes about a tenth of a second, as long as some epochs of a tiny network


@dataclass(frozen=True, slots=True)
class _Sums:
    """What an epoch has come to so far: the loss and number right of its faces, and how long they took."""

    loss: float
    right: float
    faces: float
    seconds: float


NOTHING_YET = _Sums(0, 0, 0, 0)


class EpochOrder(pl.Callback):
    """Tells the batches which process asks, which epoch it is, and where in it the run goes on from a checkpoint."""

    def __init__(self, batches: TrainingBatches) -> None:
        self._batches = batches

    def state_dict(self) -> dict[str, int]:
        """Return the epoch, and how many of its batches have been drawn."""
        return {"epoch": self._batches.epoch, "drawn": self._batches.drawn}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Go on within that epoch; if it was at its end, the start of the next one follows."""
        self._batches.epoch, self._batches.first = state_dict["epoch"], state_dict["drawn"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Give each of several processes its part of every batch."""
        self._batches.process, self._batches.processes = trainer.global_rank, trainer.world_size

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Set the epoch before its first batch is drawn."""
        self._batches.epoch, self._batches.first = trainer.current_epoch, 0


class Metrics(pl.Callback):
    """Adds up an epoch, stops on a loss that is no number, writes metrics.csv, tells the watcher.

    A checkpoint in the middle of an epoch holds the sums so far.
    """

    def __init__(self, run: RunFolder, watcher: Watcher, clock: Callable[[], float] = time.perf_counter) -> None:
        self._run = run
        self._watcher = watcher
        self._clock = clock
        self._rows: list[dict[str, Any]] = list(run.metrics())
        self._sums = NOTHING_YET

    def state_dict(self) -> dict[str, float]:
        """Return the sums of the epoch so far."""
        return asdict(self._sums)

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """Go on with these sums; the start of an epoch begins them anew."""
        self._sums = _Sums(**state_dict)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Go on with the time of an epoch that a checkpoint stands in."""
        self._started = self._clock() - self._sums.seconds

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the sums of an epoch."""
        self._sums = NOTHING_YET
        self._started = self._clock()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add a batch."""
        loss, count = float(outputs["batch_loss"]), len(batch.targets)
        if not math.isfinite(loss):
            raise TrainingError(
                f"The loss became {loss} in epoch {trainer.current_epoch + 1}, batch {batch_idx + 1}; "
                + TRY_A_LOWER_RATE
            )
        self._sums = sums = _Sums(
            self._sums.loss + loss * count,
            self._sums.right + int(outputs["right"]),
            self._sums.faces + count,
            self._clock() - self._started,
        )
        self._watcher.on_step(
            StepProgress(
                step=trainer.global_step,
                steps=int(trainer.estimated_stepping_batches),
                epoch=trainer.current_epoch + 1,
                epochs=self._run.recipe.epochs,
                loss=sums.loss / sums.faces,
                accuracy=sums.right / sums.faces,
                faces_per_s=trainer.world_size * sums.faces / sums.seconds,
            )
        )

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the sums over the validation faces."""
        self._validation_loss = self._validation_right = self._validation_faces = 0.0

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add a batch of validation faces."""
        self._validation_loss += float(outputs["loss_sum"])
        self._validation_right += int(outputs["right"])
        self._validation_faces += len(batch[1])

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the epoch's row.

        Raises:
            TrainingError: The last step ruined the weights: no checkpoint of them may follow.
        """
        if not math.isfinite(self._validation_loss):
            raise TrainingError(
                f"The validation loss became {self._validation_loss} in epoch {trainer.current_epoch + 1}, after batch "
                f"{trainer.num_training_batches}; {TRY_A_LOWER_RATE}"
            )
        sums = self._sums
        metrics = EpochMetrics(
            epoch=trainer.current_epoch + 1,
            train_loss=round(sums.loss / sums.faces, 5),
            train_accuracy=round(sums.right / sums.faces, 5),
            validation_loss=round(self._validation_loss / self._validation_faces, 5),
            validation_accuracy=round(self._validation_right / self._validation_faces, 5),
            faces_per_s=round(trainer.world_size * sums.faces / sums.seconds, 1),
            seconds=round(self._clock() - self._started, 2),
        )
        self._rows = [row for row in self._rows if int(row["epoch"]) < metrics.epoch]  # a resume may repeat an epoch
        self._rows.append(asdict(metrics))
        with written_beside(self._run.metrics_path) as beside, beside.open("w", newline="") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(EpochMetrics)])
            writer.writeheader()
            writer.writerows(self._rows)
        values = {name: float(value) for name, value in asdict(metrics).items()}
        for tracker in trainer.loggers:
            tracker.log_metrics(values, step=metrics.epoch)
        self._watcher.on_epoch(metrics)


class LearningCurves(pl.Callback):
    """Keeps learning-curves.png up to date after each epoch, though not more often than every few seconds."""

    def __init__(self, run: RunFolder, clock: Callable[[], float] = time.perf_counter) -> None:
        self._run = run
        self._clock = clock
        self._drawn_s = clock()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw them, if the last drawing is some time ago or this is the last epoch."""
        last = trainer.current_epoch + 1 == trainer.max_epochs or trainer.should_stop
        if last or self._clock() - self._drawn_s >= CURVES_EVERY_S:
            draw_curves(self._run, self._run.curves_path)
            self._drawn_s = self._clock()
