"""What a run's metrics.csv says, as numbers.

In: a run folder.  Out: an Epoch for each row; a file that was cut off is refused.
"""

import csv
from dataclasses import dataclass

from mien.errors import TrainingError
from mien.training.run_folder import RunFolder


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch of a training.

    Attributes:
        number: From 1.
        train_loss: On the training faces, augmented, while the weights move.
        train_accuracy: On the same, 0-1.
        validation_accuracy: On the validation faces after it, 0-1.
        seconds: It took, with its validation.
    """

    number: int
    train_loss: float
    train_accuracy: float
    validation_accuracy: float
    seconds: float


def epochs_of(run: RunFolder) -> tuple[Epoch, ...]:
    """Return a run's epochs so far.

    Raises:
        TrainingError: metrics.csv is not what a training writes, or was cut off.
    """
    try:
        return tuple(
            Epoch(
                number=int(row["epoch"]),
                train_loss=float(row["train_loss"]),
                train_accuracy=float(row["train_accuracy"]),
                validation_accuracy=float(row["validation_accuracy"]),
                seconds=float(row["seconds"]),
            )
            for row in run.metrics()
        )
    except (KeyError, TypeError, ValueError, csv.Error) as error:  # csv gives None for what a short row has not
        raise TrainingError(f"{run.metrics_path} is broken; copy it back, or start a new run.") from error
