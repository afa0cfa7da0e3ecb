"""Make a model's probabilities mean what they say, and choose when it should say "unsure".

In: logits and labels of faces it did not learn from.  Out: a Calibration for its card.
Source: Guo et al. 2017, "On calibration of modern neural networks": temperature scaling, section 4.2; expected
calibration error over 15 equal bins, section 2.
"""

import math

import numpy as np
from numpy.typing import NDArray

from mien.card import Calibration
from mien.classifier import softmax

BINS = 15


def calibrate(logits: NDArray[np.float32], labels: NDArray[np.integer], *, split: str, coverage: float) -> Calibration:
    """Fit a temperature by likelihood, and the threshold that leaves `coverage` of the faces sure.

    Args:
        logits: (N, K).
        labels: (N,), index into the K classes.
        split: Name of these faces, for the card.
        coverage: Share of the faces whose top probability is to reach the threshold, 0-1.
    """
    temperature = round(_best_temperature(logits, labels), 4)  # as the card states it, also for the rest
    probabilities = softmax(logits, temperature)
    confidence = probabilities.max(1)
    threshold = math.floor(1000 * float(np.quantile(confidence, 1 - coverage))) / 1000  # never above the quantile
    threshold = min(threshold, 0.999)  # the mean of probabilities of 1 may be a little less
    return Calibration(
        temperature=temperature,
        unsure_below=threshold,
        coverage=float((confidence >= threshold).mean()),
        ece_before=expected_calibration_error(softmax(logits), labels),
        ece_after=expected_calibration_error(probabilities, labels),
        split=split,
        n=len(labels),
    )


def expected_calibration_error(probabilities: NDArray[np.float32], labels: NDArray[np.integer]) -> float:
    """Return the mean gap between confidence and accuracy over 15 bins of confidence, weighted by faces, 0-1."""
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == labels
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gap = np.bincount(bins, weights=confidence - right, minlength=BINS)
    return float(np.abs(gap).sum() / len(labels))


def _best_temperature(logits: NDArray[np.float32], labels: NDArray[np.integer]) -> float:
    """Return the temperature of least negative log-likelihood, which has one minimum.

    log T ~ N(0, 1) is a prior that thousands of faces do not feel. But where a model is right on each of a few, the
    likelihood alone has no minimum, and the model would come out sure of everything.
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        chosen = softmax(logits, float(np.exp(log_temperature)))[np.arange(len(labels)), labels]
        return log_temperature**2 / (2 * len(labels)) - float(np.log(np.maximum(chosen, 1e-12)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded").x))
