"""Is one model better than another, or is it chance? Paired tests on the same faces, and the spread over seeds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from mien.evaluation.candidates import Candidate
from mien.evaluation.metrics import Evaluation

RESAMPLES = 10_000
INTERVAL = (0.025, 0.975)
Z = 1.959964  # of 95 %


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the same faces.

    Attributes:
        first: Name of one.
        second: Name of the other.
        n: Faces.
        only_first: Faces that only the first gets right.
        only_second: Faces that only the second gets right.
        accuracy_gain: Accuracy of the second less that of the first.
        macro_f1_gain: The same of the macro F1.
        p_value: Of McNemar's exact test: how likely so uneven a pair of counts is if the two are equally good.
        p_holm: The same, corrected for the number of pairs compared (Holm 1979).
    """

    first: str
    second: str
    n: int
    only_first: int
    only_second: int
    accuracy_gain: Interval
    macro_f1_gain: Interval
    p_value: float
    p_holm: float


@dataclass(frozen=True, slots=True)
class SeedSummary:
    """Several runs that differ in their seed alone.

    Attributes:
        recipe: Name of the recipe.
        models: Names of the runs.
        seeds: Their seeds, in the same order.
        accuracy_mean: Mean accuracy.
        accuracy_sd: Its standard deviation over the runs (n - 1).
        macro_f1_mean: Mean macro F1.
        macro_f1_sd: Its standard deviation.
    """

    recipe: str
    models: tuple[str, ...]
    seeds: tuple[int, ...]
    accuracy_mean: float
    accuracy_sd: float
    macro_f1_mean: float
    macro_f1_sd: float


@dataclass(frozen=True, slots=True)
class SeedsCompared:
    """Two recipes on the same faces, each trained with the same number of seeds.

    Attributes:
        seeds: Trainings of each.
        n: Faces.
        accuracy_gain: Mean accuracy of the second recipe's trainings less that of the first's; the interval is over
            the faces.
        p_value: Of `sign_flip_p`: how likely so large a gain of these trainings is if they are equally good. Faces are
            what is drawn, not seeds: how far trainings of one recipe differ is not in it.
    """

    seeds: int
    n: int
    accuracy_gain: Interval
    p_value: float


def compare(
    called: Mapping[str, NDArray[np.integer]], truth: NDArray[np.integer], *, classes: int
) -> tuple[Comparison, ...]:
    """Compare every pair of models.

    Args:
        called: By model, the (N,) classes that the faces were called.
        truth: (N,) classes that they are.
        classes: Number of classes.
    """
    pairs = list(combinations(called, 2))
    right = {name: (answers == truth).astype(int) for name, answers in called.items()}
    p_values = [sign_flip_p(right[second] - right[first]) for first, second in pairs]
    return tuple(
        _compare(first, second, called[first], called[second], truth, classes, p_value, p_holm)
        for (first, second), p_value, p_holm in zip(pairs, p_values, holm(p_values), strict=True)
    )


def compare_seeds(first: NDArray[np.integer], second: NDArray[np.integer], truth: NDArray[np.integer]) -> SeedsCompared:
    """Compare two recipes by the (seeds, N) classes that their trainings called the faces, which are (N,) `truth`."""
    gains = (second == truth).sum(0) - (first == truth).sum(0)  # (N,) of -seeds ... seeds
    return SeedsCompared(len(first), len(truth), _mean_gain(gains / len(first)), sign_flip_p(gains))


def _compare(
    first: str,
    second: str,
    called_first: NDArray[np.integer],
    called_second: NDArray[np.integer],
    truth: NDArray[np.integer],
    classes: int,
    p_value: float,
    p_holm: float,
) -> Comparison:
    right_first, right_second = called_first == truth, called_second == truth
    # Faces that are alike in truth and in both answers are exchangeable, so drawing faces is drawing these counts.
    cells, counts = np.unique(np.stack([truth, called_first, called_second]), axis=1, return_counts=True)
    draws = np.random.default_rng(0).multinomial(len(truth), counts / len(truth), size=RESAMPLES)
    draws[0] = counts  # the faces themselves: their value is the estimate
    of_first, of_second = (_macro_f1s(draws, cells[0], answers, classes) for answers in cells[1:])
    return Comparison(
        first=first,
        second=second,
        n=len(truth),
        only_first=int((right_first & ~right_second).sum()),
        only_second=int((right_second & ~right_first).sum()),
        accuracy_gain=accuracy_gain(right_first, right_second),
        macro_f1_gain=_with_interval(of_second - of_first),
        p_value=p_value,
        p_holm=p_holm,
    )


def macro_f1_interval(called: NDArray[np.integer], truth: NDArray[np.integer], *, classes: int) -> Interval:
    """Return a model's macro F1 with its bootstrap interval over the faces."""
    cells, counts = np.unique(np.stack([truth, called]), axis=1, return_counts=True)
    draws = np.random.default_rng(0).multinomial(len(truth), counts / len(truth), size=RESAMPLES)
    draws[0] = counts
    return _with_interval(_macro_f1s(draws, cells[0], cells[1], classes))


def accuracy_gain(right_first: NDArray[np.bool_], right_second: NDArray[np.bool_]) -> Interval:
    """Return the second accuracy on N faces less the first on the same faces, from whether each was right, (N,)."""
    return _mean_gain(right_second.astype(int) - right_first)


def _mean_gain(gains: NDArray[np.integer] | NDArray[np.float64]) -> Interval:
    """Return the mean of what N faces gain, (N,), with its bootstrap interval over the faces."""
    values, counts = np.unique(gains, return_counts=True)
    draws = np.random.default_rng(0).multinomial(len(gains), counts / len(gains), size=RESAMPLES)
    draws[0] = counts
    return _with_interval(draws @ values / len(gains))


def _with_interval(values: NDArray[np.float64]) -> Interval:
    """Return the first value with the interval of the others, which are those of faces drawn anew."""
    low, high = np.quantile(values[1:], INTERVAL)
    return Interval(float(values[0]), float(low), float(high))


def _macro_f1s(
    draws: NDArray[np.integer], truth: NDArray[np.integer], called: NDArray[np.integer], classes: int
) -> NDArray[np.float64]:
    """Return the (R,) macro F1s of (R, cells) counts, each cell with one truth and one answer.

    That is the mean over classes of 2 TP / (faces so + faces called so).
    """
    right, faces = np.zeros((2, classes, len(draws)))
    for k in range(classes):
        right[k] = draws[:, (truth == k) & (called == k)].sum(1)
        faces[k] = draws[:, truth == k].sum(1) + draws[:, called == k].sum(1)
    return np.asarray((2 * right / np.maximum(faces, 1)).mean(0))


def sign_flip_p(gains: NDArray[np.integer]) -> float:
    """Return the exact two-sided p-value of the sum of (N,) whole gains if each might as well have gone the other way.

    That is Fisher's randomisation test of pairs (1935, section 21). Where every gain is -1, 0 or 1 it is McNemar's
    exact test: the faces that one model alone gets right are coin tosses.
    """
    chances = np.ones(1)  # of each sum, from the lowest to the highest
    for size in range(1, int(np.abs(gains).max(initial=0)) + 1):
        count = int((np.abs(gains) == size).sum())
        of_these = np.zeros(2 * size * count + 1)
        of_these[:: 2 * size] = binom.pmf(np.arange(count + 1), count, 0.5)
        chances = np.convolve(chances, of_these)
    sums = np.arange(len(chances)) - len(chances) // 2
    return min(1.0, float(chances[np.abs(sums) >= abs(int(gains.sum()))].sum()))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number (Holm 1979): the smallest times m, the next times m - 1."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.maximum.accumulate(np.minimum(1.0, np.asarray(p_values)[order] * factors))
    return [float(p) for p in corrected]


def over_seeds(candidates: Sequence[Candidate], evaluations: Sequence[Evaluation]) -> tuple[SeedSummary, ...]:
    """Summarise the runs that have one recipe, but for the seed, and learnt from the same faces."""
    together: dict[tuple[str, str], dict[int, int]] = {}  # the first run of each seed
    for index, candidate in enumerate(candidates):
        if candidate.run is not None and candidate.provenance is not None:
            recipe = candidate.run.recipe
            key = (recipe.model_copy(update={"seed": 0}).sha256(), candidate.provenance.data_sha256)
            together.setdefault(key, {}).setdefault(recipe.seed, index)
    return tuple(
        _summarise(candidates, evaluations, [*of_seed.values()]) for of_seed in together.values() if len(of_seed) > 1
    )


def _summarise(
    candidates: Sequence[Candidate], evaluations: Sequence[Evaluation], members: Sequence[int]
) -> SeedSummary:
    runs = [run for index in members if (run := candidates[index].run) is not None]
    accuracy = [evaluations[index].accuracy for index in members]
    macro_f1 = [evaluations[index].macro.f1 for index in members]
    return SeedSummary(
        recipe=runs[0].recipe.name,
        models=tuple(candidates[index].name for index in members),
        seeds=tuple(run.recipe.seed for run in runs),
        accuracy_mean=float(np.mean(accuracy)),
        accuracy_sd=float(np.std(accuracy, ddof=1)),
        macro_f1_mean=float(np.mean(macro_f1)),
        macro_f1_sd=float(np.std(macro_f1, ddof=1)),
    )


def newcombe(p1: float, n1: int, p2: float, n2: int) -> tuple[float, float]:
    """Return the 95 % interval of p1 - p2, two shares of n1 and n2 independent faces (Newcombe 1998, method 10).

    Where both are shares of the same faces, the true interval is narrower; but the paper's answers are not known.
    """
    low1, high1 = _wilson(p1, n1)
    low2, high2 = _wilson(p2, n2)
    difference = p1 - p2
    return (
        difference - math.hypot(p1 - low1, high2 - p2),
        difference + math.hypot(high1 - p1, p2 - low2),
    )


def _wilson(share: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of n (Wilson 1927)."""
    centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return centre - half, centre + half
