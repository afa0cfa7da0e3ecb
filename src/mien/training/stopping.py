"""How a training is kept and how it ends before its last epoch: the checkpoint, Ctrl-C or a `kill`, early stopping."""

import signal
import threading
from types import FrameType
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import EarlyStopping

from mien.errors import OutputError, TrainingStopped
from mien.files import written_beside
from mien.training.module import VALIDATION_LOSS
from mien.training.run_folder import RunFolder


class LastCheckpoint(pl.Callback):
    """Keeps the newest checkpoint, at the end of each epoch."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the checkpoint; if that fails, the one before is as it was."""
        _save(trainer, self._run)


class StopOnInterrupt(pl.Callback):
    """Lets Ctrl-C or SIGTERM save and end the run between two steps; a second Ctrl-C ends it at once."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._asked = False
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Listen; only the main thread can. Of several processes one alone may be told to end: Lightning sees to it."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM)[: 2 if trainer.world_size == 1 else 1]:
                self._before[number] = signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        if number == signal.SIGINT:
            signal.signal(number, self._before.pop(number))

    def _restore(self) -> None:
        while self._before:
            signal.signal(*self._before.popitem())

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop if asked to, once the weights have moved; after the last batch the end of the epoch is waited for."""
        if not self._asked or trainer.is_last_batch or (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        if trainer.world_size == 1:
            _save(trainer, self._run)
            kept = "all is kept"
        else:  # the processes hear of Ctrl-C at different steps, and cannot save together
            kept = f"{trainer.current_epoch} finished epochs are kept"
        self._stop(f"in epoch {trainer.current_epoch + 1} of {trainer.max_epochs}, after batch {batch_idx + 1}; {kept}")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop if asked to; the checkpoint is written by now."""
        if self._asked:
            self._stop(f"after epoch {trainer.current_epoch + 1} of {trainer.max_epochs}; all is kept")

    def _stop(self, where: str) -> None:
        raise TrainingStopped(f"Stopped {where}.")

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop listening."""
        self._restore()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Stop listening."""
        self._restore()


class StopEarly(EarlyStopping):
    """Stops when the validation loss has not improved for some epochs.

    It decides before the epoch's checkpoint is written, so that a run that goes on from there has stopped as well.
    """

    def __init__(self, patience: int) -> None:
        super().__init__(VALIDATION_LOSS, patience=patience, check_on_train_epoch_end=False)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop at once if the checkpoint says so."""
        trainer.should_stop = self.wait_count >= self.patience


def _save(trainer: pl.Trainer, run: RunFolder) -> None:
    """Write a checkpoint beside and rename it; of several processes all ask Lightning for it, and the leader writes."""
    if not trainer.is_global_zero:
        trainer.save_checkpoint(run.checkpoint_path)
        return
    try:
        with written_beside(run.checkpoint_path) as beside:
            trainer.save_checkpoint(beside)
    except RuntimeError as error:  # how torch says that a disk is full
        raise OutputError(f"Cannot write {run.checkpoint_path}: {error}.") from error
