"""Is a model as good for everybody? Accuracy by person, sex, age band, lighting: by any column that the faces carry."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

SHUFFLES = 2_000
MOST_NUMBERS = 20  # different ones, with fractions, in a column that groups the faces


@dataclass(frozen=True, slots=True)
class GroupScore:
    """Accuracy on the faces of one group, with its 95 % interval (Wilson 1927)."""

    group: str
    n: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Subgroups:
    """Accuracy by the groups of one column.

    Attributes:
        attribute: Name of the column.
        groups: In descending accuracy.
        unnamed: Faces that the column says nothing of; they are in no group.
        gap: Accuracy of the first group less that of the last.
        p_value: How often a gap as large comes about by chance, when the groups' names are dealt out anew to the faces;
            few faces in a group make large gaps by themselves.
    """

    attribute: str
    groups: tuple[GroupScore, ...]
    unnamed: int
    gap: float
    p_value: float


def by_attribute(right: NDArray[np.bool_], attributes: Mapping[str, NDArray[np.str_]]) -> tuple[Subgroups, ...]:
    """Score each column that groups the faces: into two groups or more, of two faces or more on average.

    A column of more than 20 different fractions is a measurement (valence, say) and no grouping.

    Args:
        right: (N,), whether a face was called what it is.
        attributes: By name of the column, (N,) names of groups; an empty name is none.
    """
    return tuple(_score(name, right, values) for name, values in attributes.items() if _groups(values))


def _groups(values: NDArray[np.str_]) -> bool:
    named = values[values != ""]
    groups = np.unique(named)
    return 1 < len(groups) <= len(named) / 2 and not (len(groups) > MOST_NUMBERS and _are_fractions(groups))


def _are_fractions(values: NDArray[np.str_]) -> bool:
    """Return whether the values are numbers, and not all of them whole, as those of persons are."""
    try:
        numbers = values.astype(float)
    except ValueError:
        return False
    return bool((numbers % 1 != 0).any())


def _score(attribute: str, right: NDArray[np.bool_], values: NDArray[np.str_]) -> Subgroups:
    named = values != ""
    names, index = np.unique(values[named], return_inverse=True)
    right = right[named]
    faces = np.bincount(index, minlength=len(names))
    counts = np.bincount(index, weights=right, minlength=len(names)).astype(int)
    groups = []
    for name, k, n in zip(names.tolist(), counts.tolist(), faces.tolist(), strict=True):
        interval = binomtest(k, n).proportion_ci(method="wilson")
        groups.append(GroupScore(name, n, k / n, float(interval.low), float(interval.high)))
    groups.sort(key=lambda group: (-group.accuracy, group.group))
    gap = groups[0].accuracy - groups[-1].accuracy
    return Subgroups(attribute, tuple(groups), int((~named).sum()), gap, _chance_of(gap, right, index, faces))


def _chance_of(gap: float, right: NDArray[np.bool_], index: NDArray[np.intp], faces: NDArray[np.intp]) -> float:
    """Return the share of shuffles (the faces as they are among them) whose largest gap reaches this one."""
    random = np.random.default_rng(0)
    as_large = 1
    for _ in range(SHUFFLES - 1):
        shares = np.bincount(index, weights=random.permutation(right), minlength=len(faces)) / faces
        as_large += bool(shares.max() - shares.min() >= gap - 1e-12)
    return as_large / SHUFFLES
