"""The papers' own tables, fed in as predictions, come out again to the printed digits.

A table prints precision, recall, F1 and support of each class. A confusion matrix with these supports, precisions and
recalls is looked for; the F1s and averages that we compute from it must then be the printed ones. Where no predictions
at all can give a printed table, the test says which number of it is wrong.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.optimize import LinearConstraint, OptimizeResult, milp

from mien.evaluation.metrics import Evaluation, score
from mien.labels import EXPRESSIONS

HALF = 0.00501  # of the last printed digit, and whichever way a half was rounded


@dataclass(frozen=True)
class Printed:
    """A table as printed: a row a class in the order of EXPRESSIONS, then accuracy and the two rows of averages."""

    classes: tuple[tuple[float, float, float, int], ...]  # precision, recall, F1, support
    accuracy: float
    macro: tuple[float, float, float]
    weighted: tuple[float, float, float]


BARBAGALLO_2 = Printed(
    (
        (0.54, 0.54, 0.54, 467),
        (0.93, 0.46, 0.62, 56),
        (0.54, 0.39, 0.45, 496),
        (0.83, 0.81, 0.82, 895),
        (0.53, 0.52, 0.53, 653),
        (0.73, 0.83, 0.78, 415),
        (0.53, 0.65, 0.58, 607),
    ),
    accuracy=0.63,
    macro=(0.66, 0.60, 0.62),
    weighted=(0.64, 0.63, 0.63),
)
MAES_LANGE_2 = Printed(  # Adam
    (
        (0.51, 0.44, 0.47, 491),
        (0.54, 0.58, 0.56, 55),
        (0.44, 0.41, 0.43, 528),
        (0.72, 0.79, 0.75, 879),
        (0.43, 0.43, 0.43, 594),
        (0.76, 0.70, 0.73, 416),
        (0.52, 0.55, 0.54, 626),
    ),
    accuracy=0.57,
    macro=(0.56, 0.56, 0.56),
    weighted=(0.57, 0.57, 0.57),
)
MAES_LANGE_4 = Printed(  # SGD; disgust's recall and F1 are printed as 0.478 and 0.616
    (
        (0.50, 0.45, 0.47, 491),
        (0.87, 0.48, 0.62, 55),
        (0.43, 0.42, 0.43, 528),
        (0.79, 0.77, 0.78, 879),
        (0.41, 0.51, 0.46, 594),
        (0.78, 0.67, 0.72, 416),
        (0.51, 0.54, 0.53, 626),
    ),
    accuracy=0.58,
    macro=(0.61, 0.55, 0.57),
    weighted=(0.59, 0.58, 0.58),
)


def _search(printed: Printed) -> OptimizeResult:
    """Look for a (7, 7) matrix of counts with the supports, precisions, recalls and F1s of a table."""
    classes = len(printed.classes)
    rows, low, high = [], [], []

    def ask(coefficients: np.ndarray, least: float, most: float) -> None:
        rows.append(coefficients.ravel())
        low.append(least)
        high.append(most)

    for k, (precision, recall, f1, support) in enumerate(printed.classes):
        row, column, diagonal = (np.zeros((classes, classes)) for _ in range(3))
        row[k], column[:, k], diagonal[k, k] = 1, 1, 1
        ask(row, support, support)
        for value, times, of in ((recall, 1, row), (precision, 1, column), (f1, 2, row + column)):
            ask(times * diagonal - (value - HALF) * of, 0, np.inf)
            ask(times * diagonal - (value + HALF) * of, -np.inf, 0)
    ask(np.eye(classes), (printed.accuracy - HALF) * 3589, (printed.accuracy + HALF) * 3589)
    constraints = LinearConstraint(np.array(rows), low, high)
    return milp(np.zeros(classes**2), constraints=constraints, integrality=np.ones(classes**2))


def _evaluation(counts: np.ndarray) -> Evaluation:
    truth, called = (np.repeat(index, counts[counts > 0]) for index in np.nonzero(counts))
    probabilities = np.eye(len(counts), dtype=np.float32)[called]
    return score(probabilities, truth, EXPRESSIONS, model="m", data="FER2013", split="s", views=1)


def test_maes_langes_recall_of_disgust_in_table_4_cannot_be() -> None:
    """0.478 of 55 faces is no whole number of faces: 26 would be 0.473, 27 would be 0.491."""
    assert not _search(MAES_LANGE_4).success


# Of 55 faces and a precision of 0.87, the nearest that can be: 26 right of 30 called so.
DISGUST = (0.87, 0.47, 0.61, 55)
POSSIBLE_4 = replace(MAES_LANGE_4, classes=(MAES_LANGE_4.classes[0], DISGUST, *MAES_LANGE_4.classes[2:]))


@pytest.mark.parametrize(
    "printed", [BARBAGALLO_2, MAES_LANGE_2, POSSIBLE_4], ids=["barbagallo-2", "maes-lange-2", "maes-lange-4"]
)
def test_a_printed_table_comes_out_again(printed: Printed) -> None:
    search = _search(printed)
    assert search.success, "no predictions at all give these rows"
    found = _evaluation(np.round(search.x).astype(int).reshape(7, 7))
    assert found.n == 3589
    for scores, (precision, recall, f1, support) in zip(found.classes, printed.classes, strict=True):
        assert scores.support == support
        assert (scores.precision, scores.recall, scores.f1) == pytest.approx((precision, recall, f1), abs=HALF)
    for ours, averages in ((found.macro, printed.macro), (found.weighted, printed.weighted)):
        assert (ours.precision, ours.recall, ours.f1) == pytest.approx(averages, abs=HALF)
    assert found.accuracy == pytest.approx(printed.accuracy, abs=HALF)
