"""Labels and probabilities -> scores with their uncertainty. Computes; draws nothing.

The scores are scikit-learn's, so that nobody has to trust our arithmetic.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support


@dataclass(frozen=True, slots=True)
class ClassScores:
    """Scores of one class.

    Attributes:
        label: Its name.
        precision: Of the faces called so, the share that were, 0-1; 0 if none was called so.
        recall: Of the faces that were so, the share called so, 0-1.
        f1: Harmonic mean of the two.
        support: Faces that were so.
    """

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How a model did on one split.

    Attributes:
        model: Name of the model.
        data: Name of the FaceSet.
        split: Name of the split.
        views: Test-time views of each face; 1 is the face as it is.
        n: Faces in it.
        accuracy: Share right, 0-1.
        standard_error: Of the accuracy: sqrt(p (1 - p) / n).
        macro_f1: Mean F1 over the classes, 0-1.
        classes: Scores of each class, in the order of labels.
        confusion: Element i, j counts the faces of class i that were called class j.
    """

    model: str
    data: str
    split: str
    views: int
    n: int
    accuracy: float
    standard_error: float
    macro_f1: float
    classes: tuple[ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain dicts and lists."""
        return asdict(self)


def score(
    probabilities: NDArray[np.float32],
    truth: NDArray[np.integer],
    labels: tuple[str, ...],
    *,
    model: str,
    data: str,
    split: str,
    views: int,
) -> Evaluation:
    """Score predictions.

    Args:
        probabilities: (N, K); the highest of a row is the prediction.
        truth: (N,), index into `labels`.
        labels: The K names.
        model: Name of the model, for the record.
        data: Name of the FaceSet.
        split: Name of the split.
        views: Test-time views that the probabilities are the mean of.
    """
    predicted = probabilities.argmax(1)
    every = np.arange(len(labels))
    precision, recall, f1, support = precision_recall_fscore_support(truth, predicted, labels=every, zero_division=0)
    accuracy = float((predicted == truth).mean())
    return Evaluation(
        model=model,
        data=data,
        split=split,
        views=views,
        n=len(truth),
        accuracy=accuracy,
        standard_error=float(np.sqrt(accuracy * (1 - accuracy) / len(truth))),
        macro_f1=float(f1.mean()),
        classes=tuple(
            ClassScores(label, float(precision[k]), float(recall[k]), float(f1[k]), int(support[k]))
            for k, label in enumerate(labels)
        ),
        confusion=tuple(tuple(int(n) for n in row) for row in confusion_matrix(truth, predicted, labels=every)),
    )
