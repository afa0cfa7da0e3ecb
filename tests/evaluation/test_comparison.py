from dataclasses import replace
from itertools import product
from math import comb
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import pytest
from sklearn.metrics import f1_score

from mien.evaluation.candidates import open_candidate
from mien.evaluation.comparison import compare, compare_seeds, holm, macro_f1_interval, over_seeds
from mien.evaluation.evaluate import evaluate
from mien.evaluation.subgroups import by_attribute
from mien.training.run_folder import RunFolder


def _drawn(n: int = 400, seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return what two models call faces of three classes, the second right a little more often, and the classes."""
    random = np.random.default_rng(seed)
    truth = random.choice(3, n, p=(0.2, 0.3, 0.5))
    wrong = (truth + random.integers(1, 3, n)) % 3
    called = {name: np.where(random.random(n) < share, truth, wrong) for name, share in (("a", 0.6), ("b", 0.7))}
    return called, truth


def test_mcnemar_counts_the_faces_that_one_alone_gets_right() -> None:
    """Of 12 such faces 10 are b's: twice the chance of at most 2 heads in 12 tosses."""
    truth = np.zeros(30, int)
    first, second = np.zeros(30, int), np.zeros(30, int)
    first[:10], second[10:12] = 1, 1
    (found,) = compare({"a": first, "b": second}, truth, classes=2)
    assert (found.only_first, found.only_second, found.n) == (2, 10, 30)
    assert found.p_value == pytest.approx(2 * sum(comb(12, k) for k in range(3)) / 2**12)
    assert found.accuracy_gain.value == pytest.approx(8 / 30)


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_chance_of_a_gain_is_that_of_turning_each_face_the_other_way(seeds: int) -> None:
    """The slow way: every one of the 2^10 ways."""
    random = np.random.default_rng(seeds)
    truth = np.zeros(10, int)
    first, second = random.integers(0, 2, (2, seeds, 10))
    found = compare_seeds(first, second, truth)
    gains = (second == 0).sum(0) - (first == 0).sum(0)
    sums = [abs(np.dot(gains, signs)) for signs in product((-1, 1), repeat=10)]
    assert found.p_value == pytest.approx(np.mean(np.array(sums) >= abs(gains.sum())))
    assert found.accuracy_gain.value == pytest.approx((second == 0).mean() - (first == 0).mean())
    assert found.accuracy_gain.low <= found.accuracy_gain.value <= found.accuracy_gain.high
    assert (found.seeds, found.n) == (seeds, 10)


def test_recipes_that_answer_alike_do_not_differ() -> None:
    answers = np.ones((2, 5), int)
    found = compare_seeds(answers, answers, np.zeros(5, int))
    assert (found.p_value, found.accuracy_gain.value) == (1.0, 0.0)


def test_the_intervals_are_those_of_faces_drawn_anew() -> None:
    """The slow way: draw faces with replacement, and score both models on them by scikit-learn."""
    called, truth = _drawn()
    (found,) = compare(called, truth, classes=3)
    random = np.random.default_rng(1)
    accuracy, macro_f1 = [], []
    for _ in range(400):
        rows = random.integers(0, len(truth), len(truth))
        right = [(of[rows] == truth[rows]).mean() for of in called.values()]
        f1 = [f1_score(truth[rows], of[rows], average="macro") for of in called.values()]
        accuracy.append(right[1] - right[0])
        macro_f1.append(f1[1] - f1[0])
    gains = (called["b"] == truth).astype(int) - (called["a"] == truth)
    reach = 1.96 * gains.std() / len(gains) ** 0.5
    ends = found.accuracy_gain.low, found.accuracy_gain.high
    assert ends == pytest.approx((gains.mean() - reach, gains.mean() + reach), abs=0.004), "95 %, and not 90"
    for ours, slow in ((found.accuracy_gain, accuracy), (found.macro_f1_gain, macro_f1)):
        assert (ours.low, ours.high) == pytest.approx(np.quantile(slow, (0.025, 0.975)), abs=0.015)
        assert ours.low < ours.value < ours.high
    of_b = macro_f1_interval(called["b"], truth, classes=3)
    assert of_b.value == pytest.approx(f1_score(truth, called["b"], average="macro"))
    assert of_b.low < of_b.value < of_b.high


def test_every_pair_is_compared_and_corrected() -> None:
    called, truth = _drawn()
    pairs = compare(called | {"c": truth}, truth, classes=3)
    assert [(pair.first, pair.second) for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert all(pair.p_holm >= pair.p_value for pair in pairs)
    assert compare({"a": called["a"]}, truth, classes=3) == ()


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.9]) == [1, 1]


def test_seeds_of_one_recipe_are_summarised(tiny_run: RunFolder, faceset_folder: Path) -> None:
    found = evaluate([str(tiny_run.path)], data=faceset_folder, split="PublicTest").results.models[0].evaluation
    one = open_candidate(str(tiny_run.path))

    def with_recipe(**changes: object) -> RunFolder:
        run = RunFolder(tiny_run.path)
        run.recipe = run.recipe.model_copy(update=changes)
        return run

    three = [replace(one, name=f"seed-{seed}", run=with_recipe(seed=seed)) for seed in (0, 1, 2)]
    longer = replace(one, name="longer", run=with_recipe(epochs=99))
    accuracies = (0.5, 0.6, 0.8)
    evaluations = [
        replace(found, accuracy=accuracy, macro=replace(found.macro, f1=accuracy - 0.1))
        for accuracy in (*accuracies, 0.9)
    ]
    (summary,) = over_seeds([*three, longer], evaluations)
    assert summary.models == ("seed-0", "seed-1", "seed-2")
    assert summary.seeds == (0, 1, 2)
    assert (summary.accuracy_mean, summary.accuracy_sd) == pytest.approx((mean(accuracies), stdev(accuracies)))
    assert summary.macro_f1_mean == pytest.approx(mean(accuracies) - 0.1)
    assert summary.macro_f1_sd == pytest.approx(stdev(accuracies))
    assert over_seeds([three[0], longer], evaluations[:2]) == ()
    assert over_seeds([three[0], three[0]], evaluations[:2]) == (), "the same seed twice is one seed"


def test_accuracy_by_group_and_the_largest_gap() -> None:
    """Of the 40 faces by day 36 are right, of the 20 at night 8, and of 5 nobody knows."""
    light = np.array(["day"] * 40 + ["night"] * 20 + [""] * 5)
    right = np.array([True] * 36 + [False] * 4 + [True] * 8 + [False] * 12 + [True] * 5)
    camera, file = np.array(["one"] * 65), np.array([f"{k}.jpg" for k in range(65)])
    (found,) = by_attribute(right, {"lighting": light, "camera": camera, "file": file})
    assert (found.attribute, found.unnamed) == ("lighting", 5), "one group, or one a face, tells nothing"
    assert [(group.group, group.n, group.accuracy) for group in found.groups] == [("day", 40, 0.9), ("night", 20, 0.4)]
    # Wilson's interval for 8 of 20 (Newcombe 1998, method 3, worked out by its formula).
    z, p, n = 1.959964, 0.4, 20
    middle, half = p + z**2 / (2 * n), z * (p * (1 - p) / n + z**2 / (4 * n**2)) ** 0.5
    night = found.groups[1]
    assert (night.low, night.high) == pytest.approx(
        ((middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n))
    )
    assert found.gap == pytest.approx(0.5)
    assert found.p_value < 0.01


def test_a_measurement_is_no_grouping() -> None:
    """Valence in steps of 1/126, beside people who have numbers for names."""
    random = np.random.default_rng(0)
    valence = np.array([f"{k / 126:.3f}" for k in random.integers(-60, 60, 400)])
    person = np.array([str(k) for k in np.arange(400) % 40])
    found = by_attribute(random.random(400) < 0.5, {"valence": valence, "person": person})
    assert [one.attribute for one in found] == ["person"]


def test_a_gap_between_tiny_groups_is_often_chance() -> None:
    """Thirty people of two faces each: somebody's are both right and somebody's both wrong."""
    random = np.random.default_rng(0)
    (found,) = by_attribute(random.random(60) < 0.5, {"person": np.repeat([f"p{k:02}" for k in range(30)], 2)})
    assert found.gap == 1
    assert found.p_value > 0.9
