"""What an evaluation finds, for one model or several: `evaluation.json` holds it, and the report shows it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mien.errors import DataError
from mien.evaluation.comparison import Comparison, Interval, SeedSummary
from mien.evaluation.cost import Cost
from mien.evaluation.metrics import Evaluation, SubsetScore
from mien.evaluation.stress import StressScore
from mien.evaluation.subgroups import Subgroups


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """What a run's metrics.csv says, one value an epoch."""

    train_loss: tuple[float, ...]
    train_accuracy: tuple[float, ...]
    validation_loss: tuple[float, ...]
    validation_accuracy: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ModelResults:
    """What was found about one model.

    Attributes:
        evaluation: Its scores.
        macro_f1: Its macro F1 with a 95 % bootstrap interval over the faces.
        subsets: Accuracy without twins, and against FER+'s majority, where the FaceSet allows them.
        subgroups: Accuracy by group, for each column of the FaceSet's manifest.
        left_out: Classes that it knows and the faces have not; their probability was shared out among the others.
        sha256: Of the file of its weights.
        learning_curve: How it learnt; None for a model file, which does not remember.
        stress: How it does under each condition of `stress`; empty if it was not asked.
        fitted_here: Whether its calibration, and with it "unsure", was fitted on these very faces.
    """

    evaluation: Evaluation
    macro_f1: Interval
    subsets: tuple[SubsetScore, ...]
    subgroups: tuple[Subgroups, ...]
    left_out: tuple[str, ...]
    sha256: str
    learning_curve: LearningCurve | None
    stress: tuple[StressScore, ...] = ()
    fitted_here: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """On what, and where, the models were judged.

    Attributes:
        data: Name of the FaceSet.
        data_sha256: Its hash.
        split: Name of the split.
        n: Faces in it.
        views: Test-time views of each face.
        labels: Names of the classes.
        date: Day of the evaluation, UTC, as 2026-01-31.
        mien: Version of this package.
        processor: What the machine calls its processor.
    """

    data: str
    data_sha256: str
    split: str
    n: int
    views: int
    labels: tuple[str, ...]
    date: str
    mien: str
    processor: str


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that an evaluation found.

    Attributes:
        setting: On what and where.
        models: In the order in which they were given.
        costs: What each costs, in the same order.
        comparisons: Every pair of them.
        over_seeds: Runs of one recipe with several seeds, summarised.
        warnings: Sentences on scores that are likely to be too good.
    """

    setting: Setting
    models: tuple[ModelResults, ...]
    costs: tuple[Cost, ...]
    comparisons: tuple[Comparison, ...]
    over_seeds: tuple[SeedSummary, ...]
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain dicts and lists."""
        return asdict(self)

    def to_json(self) -> str:
        """Return everything as JSON text."""
        return json.dumps(self.as_dict(), indent=1, ensure_ascii=False) + "\n"


def read_results(path: Path) -> Results:
    """Read an evaluation.json.

    Raises:
        DataError: It is missing, or is not one.
    """
    try:
        return TypeAdapter(Results).validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(f"There is no {path}; `mien evaluate … --report` writes one.") from error
    except ValidationError as error:
        raise DataError(f"{path} is not an evaluation of this mien; evaluate the model again.") from error
