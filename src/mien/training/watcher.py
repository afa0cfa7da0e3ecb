"""What a training tells whoever watches it: its start, each step and each epoch."""

from dataclasses import dataclass

from mien.training.run_folder import RunFolder


@dataclass(frozen=True, slots=True)
class EpochMetrics:
    """One row of metrics.csv; where several processes train, its training loss and accuracy are of the leader's part.

    Attributes:
        epoch: Counted from 1.
        train_loss: Mean over the epoch's augmented faces, with label smoothing.
        train_accuracy: Share of them right, 0-1.
        validation_loss: Mean over the validation split, no smoothing, with the running mean of the weights.
        validation_accuracy: Share right, 0-1, single view, same weights.
        faces_per_s: Training faces a second, validation not counted.
        seconds: Wall time of the epoch with its validation.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    faces_per_s: float
    seconds: float


@dataclass(frozen=True, slots=True)
class StepProgress:
    """Where a run stands after a step: what a progress bar shows.

    Attributes:
        step: Steps done of `steps`, over all epochs.
        steps: Steps there will be.
        epoch: Epoch under way, counted from 1.
        epochs: Epochs there will be.
        loss: Mean loss of this epoch so far.
        accuracy: Training accuracy of this epoch so far, 0-1.
        faces_per_s: Faces a second in this epoch so far.
    """

    step: int
    steps: int
    epoch: int
    epochs: int
    loss: float
    accuracy: float
    faces_per_s: float


class Watcher:
    """Told of the start, each step and each epoch; does nothing, to be subclassed by whoever shows them."""

    def on_start(self, run: RunFolder) -> None:
        """Hear of the run folder, before the first step."""

    def on_note(self, note: str) -> None:
        """Hear a sentence that a person should read: of work that takes a while, or of something odd."""

    def on_step(self, progress: StepProgress) -> None:
        """Hear of a step."""

    def on_epoch(self, metrics: EpochMetrics) -> None:
        """Hear of an epoch."""
