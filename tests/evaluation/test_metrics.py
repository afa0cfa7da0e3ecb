import numpy as np
import pytest
import torch
from torchmetrics.functional import classification as torchmetrics

from mien.evaluation.confidence import COVERAGES, judge_confidence
from mien.evaluation.metrics import RATES, Evaluation, score

LABELS = ("a", "b", "c")


def _scored(truth: np.ndarray, probabilities: np.ndarray, labels: tuple[str, ...] = LABELS) -> Evaluation:
    return score(probabilities, truth, labels, model="m", data="d", split="s", views=1)


def _drawn(n: int = 500, classes: int = 7, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return labels, and probabilities that lean towards them."""
    random = np.random.default_rng(seed)
    truth = random.choice(classes, n, p=np.arange(1, classes + 1) / np.arange(1, classes + 1).sum())
    logits = random.normal(size=(n, classes)) + 1.2 * np.eye(classes)[truth]
    powers = np.exp(logits)
    return truth, (powers / powers.sum(1, keepdims=True)).astype(np.float32)


def test_scores_counted_by_hand() -> None:
    """Six faces: a a a b b c, called a a b b b b. Nobody is called c."""
    truth = np.array([0, 0, 0, 1, 1, 2])
    found = _scored(truth, np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 1, 1]])
    assert found.accuracy == pytest.approx(4 / 6)
    assert found.standard_error == pytest.approx((4 / 6 * 2 / 6 / 6) ** 0.5)
    assert [c.precision for c in found.classes] == pytest.approx([1, 0.5, 0])
    assert [c.recall for c in found.classes] == pytest.approx([2 / 3, 1, 0])
    assert [c.f1 for c in found.classes] == pytest.approx([0.8, 2 / 3, 0])
    assert [c.support for c in found.classes] == [3, 2, 1]
    assert [c.called for c in found.classes] == [2, 4, 0]
    assert found.macro.f1 == pytest.approx((0.8 + 2 / 3) / 3)
    assert found.weighted.precision == pytest.approx((3 * 1 + 2 * 0.5) / 6)
    assert found.weighted.recall == pytest.approx(found.accuracy), "always so"
    assert found.confusion == ((2, 1, 0), (0, 2, 0), (0, 1, 0))


def test_torchmetrics_finds_the_same() -> None:
    truth, probabilities = _drawn()
    found = score(probabilities, truth, tuple("abcdefg"), model="m", data="d", split="s", views=1, unsure_below=0.5)
    p, t = torch.from_numpy(probabilities), torch.from_numpy(truth)

    def theirs(name: str, **options: object) -> list[float]:
        value = getattr(torchmetrics, f"multiclass_{name}")(p, t, num_classes=7, **options)
        return [float(x) for x in value.reshape(-1)]

    assert found.accuracy == pytest.approx(theirs("accuracy", average="micro")[0])
    assert found.top2 == pytest.approx(theirs("accuracy", average="micro", top_k=2)[0])
    for average, ours in (("macro", found.macro), ("weighted", found.weighted)):
        assert ours.precision == pytest.approx(theirs("precision", average=average)[0])
        assert ours.recall == pytest.approx(theirs("recall", average=average)[0])
        assert ours.f1 == pytest.approx(theirs("f1_score", average=average)[0])
    assert [c.f1 for c in found.classes] == pytest.approx(theirs("f1_score", average="none"))
    assert np.ravel(found.confusion).tolist() == theirs("confusion_matrix")
    assert [c.roc_area for c in found.classes] == pytest.approx(theirs("auroc", average="none"), abs=1e-6)
    error = found.confidence.expected_calibration_error
    assert error == pytest.approx(theirs_of_calibration(p, t), abs=1e-6)
    assert error == pytest.approx(sum(b.n * abs(b.accuracy - b.confidence) for b in found.confidence.bins) / 500)


def theirs_of_calibration(probabilities: torch.Tensor, truth: torch.Tensor) -> float:
    return float(torchmetrics.multiclass_calibration_error(probabilities, truth, num_classes=7, n_bins=15, norm="l1"))


def test_a_roc_curve_is_the_share_above_each_threshold() -> None:
    truth, probabilities = _drawn()
    of_c = _scored(truth, probabilities, tuple("abcdefg")).classes[2]
    others, own = (np.sort(probabilities[truth == 2, 2]), np.sort(probabilities[truth != 2, 2]))[::-1]
    for rate, share in zip(RATES, of_c.roc, strict=True):
        threshold = np.quantile(others, 1 - rate)
        assert share == pytest.approx((own >= threshold).mean(), abs=0.04)


def test_a_class_without_faces_has_no_roc() -> None:
    truth, probabilities = _drawn(classes=3)
    found = _scored(np.where(truth == 1, 0, truth), probabilities)
    assert found.classes[1].roc_area is None
    assert found.classes[1].roc == ()
    assert found.classes[1].recall == 0


def test_a_model_that_calls_everything_the_same_is_collapsed() -> None:
    """maes-lange's 0.249373 is 895/3589: "happy" for every face of PublicTest."""
    supports = [467, 56, 496, 895, 653, 415, 607]
    truth = np.repeat(np.arange(7), supports)
    happy = np.tile(np.eye(7, dtype=np.float32)[3], (len(truth), 1))
    found = _scored(truth, happy, ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"))
    assert found.collapsed == "happy"
    assert found.accuracy == pytest.approx(0.249373, abs=5e-7)


def test_faces_that_are_all_of_one_class_do_not_make_a_model_collapsed() -> None:
    found = _scored(np.full(8, 1), np.eye(3, dtype=np.float32)[np.full(8, 1)])
    assert (found.accuracy, found.collapsed) == (1, None)


@pytest.mark.parametrize(("same", "collapsed"), [(95, None), (96, "b")])
def test_collapsed_is_more_than_95_of_a_hundred(same: int, collapsed: str | None) -> None:
    called = np.repeat([1, 0], [same, 100 - same])
    found = _scored(np.arange(100) % 3, np.eye(3, dtype=np.float32)[called])
    assert found.collapsed == collapsed


def test_the_surest_faces_come_first() -> None:
    """Ten faces, surer and surer; the surest six are right."""
    confidence = np.linspace(0.51, 0.96, 10, dtype=np.float32)
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    truth = np.repeat([1, 0], [4, 6])
    found = judge_confidence(probabilities, truth, unsure_below=0.8)
    by_coverage = dict(zip(COVERAGES, found.accuracy_of_surest, strict=True))
    assert (by_coverage[0.6], by_coverage[0.7], by_coverage[1.0]) == pytest.approx((1, 6 / 7, 0.6))
    assert found.sure is not None
    assert (found.sure.n, found.sure.coverage, found.sure.accuracy) == (4, 0.4, 1)
    assert judge_confidence(probabilities, truth, unsure_below=None).sure is None
    nobody = judge_confidence(probabilities, truth, unsure_below=0.99).sure
    assert nobody is not None
    assert (nobody.n, nobody.accuracy) == (0, None)
