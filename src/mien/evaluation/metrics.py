"""Labels and probabilities -> the scores of one model, with their uncertainty. Computes; draws nothing.

The scores are scikit-learn's, so that nobody has to trust our arithmetic.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    f1_score,
    precision_recall_fscore_support,
    roc_auc_score,
    roc_curve,
    top_k_accuracy_score,
)

from mien.evaluation.confidence import Confidence, judge_confidence
from mien.training.collapse import collapsed_to

RATES = tuple(k / 50 for k in range(51))  # false positive rates at which a ROC curve is written down


@dataclass(frozen=True, slots=True)
class ClassScores:
    """Scores of one class.

    Attributes:
        label: Its name.
        precision: Of the faces called so, the share that were, 0-1; 0 if none was called so.
        recall: Of the faces that were so, the share called so, 0-1.
        f1: Harmonic mean of the two.
        support: Faces that were so.
        called: Faces called so.
        roc_area: Area under the ROC curve of this class against the rest, 0-1; None if it is all or none of the faces.
        roc: True positive rate at each of the false positive rates `RATES`; empty where the area is None.
    """

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    called: int
    roc_area: float | None
    roc: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Averages:
    """Precision, recall and F1, averaged over all classes; one without a face counts as 0."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class SubsetScore:
    """Accuracy on a part of the faces, or against another labelling of them.

    Attributes:
        name: What the part is.
        n: Faces in it.
        accuracy: Share right, 0-1.
        standard_error: Of the accuracy.
        macro_f1: Mean F1 over the classes.
    """

    name: str
    n: int
    accuracy: float
    standard_error: float
    macro_f1: float


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
        top2: Share whose label is among the two most probable classes, 0-1.
        macro: Means over the classes, each weighing the same; its F1 is jawade's P_EXPR.
        weighted: Means over the classes, each weighing its support.
        collapsed: The class that more than 95 % of the faces were called, if there is one and not that many are.
        classes: Scores of each class, in the order of labels.
        confusion: Element i, j counts the faces of class i that were called class j.
        confidence: Whether its probabilities mean what they say.
    """

    model: str
    data: str
    split: str
    views: int
    n: int
    accuracy: float
    standard_error: float
    top2: float
    macro: Averages
    weighted: Averages
    collapsed: str | None
    classes: tuple[ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...]
    confidence: Confidence

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""
        return tuple(scores.label for scores in self.classes)


def score(
    probabilities: NDArray[np.float32],
    truth: NDArray[np.integer],
    labels: tuple[str, ...],
    *,
    model: str,
    data: str,
    split: str,
    views: int,
    unsure_below: float | None = None,
) -> Evaluation:
    """Score predictions.

    Args:
        probabilities: (N, K), rows summing to 1; the highest of a row is the prediction.
        truth: (N,), index into `labels`.
        labels: The K names.
        model: Name of the model, for the record.
        data: Name of the FaceSet.
        split: Name of the split.
        views: Test-time views that the probabilities are the mean of.
        unsure_below: The model's own threshold of "unsure", if it has one.
    """
    called = probabilities.argmax(1)
    every = np.arange(len(labels))
    counts = np.bincount(truth.astype(int) * len(every) + called, minlength=len(every) ** 2).reshape(len(every), -1)
    precision, recall, f1, support = precision_recall_fscore_support(truth, called, labels=every, zero_division=0)
    collapsed = collapsed_to(called, truth)
    accuracy = float((called == truth).mean())
    return Evaluation(
        model=model,
        data=data,
        split=split,
        views=views,
        n=len(truth),
        accuracy=accuracy,
        standard_error=standard_error(accuracy, len(truth)),
        top2=float(top_k_accuracy_score(truth, probabilities, k=2, labels=every)) if len(labels) > 2 else 1.0,
        macro=_averages(truth, called, every, "macro"),
        weighted=_averages(truth, called, every, "weighted"),
        collapsed=None if collapsed is None else labels[collapsed],
        classes=tuple(
            ClassScores(
                label,
                float(precision[k]),
                float(recall[k]),
                float(f1[k]),
                int(support[k]),
                int(counts[:, k].sum()),
                *_roc(truth == k, probabilities[:, k]),
            )
            for k, label in enumerate(labels)
        ),
        confusion=tuple(tuple(int(n) for n in row) for row in counts),
        confidence=judge_confidence(probabilities, truth, unsure_below=unsure_below),
    )


def score_subset(name: str, called: NDArray[np.integer], truth: NDArray[np.integer], classes: int) -> SubsetScore:
    """Score what some faces were called against what they are, both (N,) indices of `classes` classes."""
    accuracy = float((called == truth).mean())
    return SubsetScore(
        name=name,
        n=len(truth),
        accuracy=accuracy,
        standard_error=standard_error(accuracy, len(truth)),
        macro_f1=float(f1_score(truth, called, labels=np.arange(classes), average="macro", zero_division=0)),
    )


def standard_error(share: float, n: int) -> float:
    """Return the standard error of a share of n."""
    return float(np.sqrt(share * (1 - share) / n))


def _averages(
    truth: NDArray[np.integer], called: NDArray[np.integer], every: NDArray[np.integer], weights: str
) -> Averages:
    three = precision_recall_fscore_support(truth, called, labels=every, average=weights, zero_division=0)[:3]
    return Averages(*(float(value) for value in three))


def _roc(is_class: NDArray[np.bool_], probability: NDArray[np.float32]) -> tuple[float | None, tuple[float, ...]]:
    """Return the area under a class's ROC curve, and the curve at `RATES`."""
    if is_class.all() or not is_class.any():
        return None, ()
    false_positive, true_positive, _ = roc_curve(is_class, probability)
    curve = np.interp(RATES, false_positive, true_positive)
    return float(roc_auc_score(is_class, probability)), tuple(round(float(rate), 4) for rate in curve)
