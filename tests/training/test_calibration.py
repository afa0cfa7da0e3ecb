import numpy as np
import pytest

from mien.training.calibration import calibrate, expected_calibration_error


def _honest_logits(count: int = 20_000, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax is the true probability of each label, then multiplied: over-sure by that factor."""
    random = np.random.default_rng(0)
    logits = random.normal(0, 1.5, (count, 5)).astype(np.float32)
    powers = np.exp(logits)
    cumulative = (powers / powers.sum(1, keepdims=True)).cumsum(1)
    labels = (random.random((count, 1)) > cumulative).sum(1).clip(0, 4)
    return logits * np.float32(scale), labels


def test_the_temperature_undoes_a_known_one() -> None:
    logits, labels = _honest_logits(scale=2.5)
    fitted = calibrate(logits, labels, split="PublicTest", coverage=0.8)
    assert fitted.temperature == pytest.approx(2.5, rel=0.03)
    assert fitted.ece_before > 0.1
    assert fitted.ece_after < 0.015
    assert fitted.n == 20_000


def test_a_few_faces_that_are_all_read_rightly_make_no_model_certain() -> None:
    """As one's own sixteen faces are; the likelihood alone would end at the bound, 0.05."""
    logits = np.tile(np.array([[2.7, 0.0]], np.float32), (16, 1))
    fitted = calibrate(logits, np.zeros(16, np.int64), split="s", coverage=0.8)
    assert 0.2 < fitted.temperature < 1
    assert fitted.unsure_below < 1


def test_a_model_that_is_certain_of_all_is_asked_for_less_than_certainty() -> None:
    """The mean of probabilities of 1, as of a track, may be a little less."""
    fitted = calibrate(50 * np.eye(7, dtype=np.float32), np.arange(7), split="s", coverage=0.8)
    assert (fitted.unsure_below, fitted.coverage) == (0.999, 1.0)


@pytest.mark.parametrize("coverage", [0.5, 0.8, 1.0])
def test_the_threshold_leaves_the_share_asked_for(coverage: float) -> None:
    logits, labels = _honest_logits()
    assert calibrate(logits, labels, split="s", coverage=coverage).coverage == pytest.approx(coverage, abs=0.005)


def test_the_threshold_is_never_above_what_leaves_the_share() -> None:
    """A network that is sure of everything: 0.9997 would round to 1, and leave nobody sure."""
    logits = np.array([[8.1 + 0.001 * k, 0.0] for k in range(100)], np.float32)
    fitted = calibrate(logits, np.zeros(100, np.int64), split="s", coverage=0.8)
    assert fitted.coverage >= 0.8


def test_the_error_of_predictions_counted_by_hand() -> None:
    """Four faces at .9 of which two are right, two at .6 of which both are: (4 * .4 + 2 * .4) / 6."""
    sure, less = [0.9, 0.1], [0.6, 0.4]
    probabilities = np.array([sure, sure, sure, sure, less, less], np.float32)
    labels = np.array([0, 0, 1, 1, 0, 0])
    assert expected_calibration_error(probabilities, labels) == pytest.approx((4 * 0.4 + 2 * 0.4) / 6, abs=1e-6)
