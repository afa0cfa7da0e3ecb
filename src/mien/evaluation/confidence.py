"""Do a model's probabilities mean what they say, and what does it gain by saying "unsure"?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.training.calibration import BINS, expected_calibration_error

COVERAGES = tuple(k / 50 for k in range(5, 51))  # 10 % to all; of fewer faces the accuracy says little


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The faces whose top probability lies between `low` and `high`: how sure the model was, and how often right."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Sure:
    """The faces that a model does not call "unsure".

    Attributes:
        threshold: Top probability below which it says "unsure".
        n: Faces at or above it.
        coverage: Their share of all faces, 0-1.
        accuracy: Share of them that is right, 0-1; None if there are none.
    """

    threshold: float
    n: int
    coverage: float
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class Confidence:
    """What a model's top probabilities are worth.

    Attributes:
        expected_calibration_error: Mean gap between confidence and accuracy over 15 bins, weighted by faces, 0-1
            (Guo et al. 2017, section 2).
        bins: The reliability diagram; bins without a face are left out.
        accuracy_of_surest: Accuracy of the surest faces, at each share of `COVERAGES`.
        sure: What its own threshold of "unsure" does; None if it has none.
    """

    expected_calibration_error: float
    bins: tuple[ReliabilityBin, ...]
    accuracy_of_surest: tuple[float, ...]
    sure: Sure | None


def judge_confidence(
    probabilities: NDArray[np.float32], truth: NDArray[np.integer], *, unsure_below: float | None
) -> Confidence:
    """Judge (N, K) probabilities against (N,) labels."""
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == truth
    return Confidence(
        expected_calibration_error=expected_calibration_error(probabilities, truth),
        bins=tuple(_bins(confidence, right)),
        accuracy_of_surest=_accuracy_of_surest(confidence, right),
        sure=None if unsure_below is None else _sure(confidence, right, unsure_below),
    )


def _bins(confidence: NDArray[np.float32], right: NDArray[np.bool_]) -> list[ReliabilityBin]:
    number = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        ReliabilityBin(
            low=k / BINS,
            high=(k + 1) / BINS,
            n=int((number == k).sum()),
            confidence=float(confidence[number == k].mean()),
            accuracy=float(right[number == k].mean()),
        )
        for k in np.unique(number).tolist()
    ]


def _accuracy_of_surest(confidence: NDArray[np.float32], right: NDArray[np.bool_]) -> tuple[float, ...]:
    share_right = right[np.argsort(-confidence, kind="stable")].cumsum() / np.arange(1, len(right) + 1)
    last = np.ceil(np.array(COVERAGES) * len(right)).astype(int) - 1
    return tuple(float(share) for share in share_right[last])


def _sure(confidence: NDArray[np.float32], right: NDArray[np.bool_], threshold: float) -> Sure:
    sure = confidence >= threshold
    return Sure(
        threshold=threshold,
        n=int(sure.sum()),
        coverage=float(sure.mean()),
        accuracy=float(right[sure].mean()) if sure.any() else None,
    )
