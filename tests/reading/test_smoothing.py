from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

from mien.reading.face_reading import FaceReading, FrameReading
from mien.reading.smoothing import smoothed, window_weights
from mien.reading.sources import Frame

BLANK = np.zeros((4, 4, 3), np.uint8)
LABELS = ("happy", "sad")
Happy = Callable[[float], float]


def _reading(time_s: float | None, happy: Sequence[float], source: str = "a.mp4") -> tuple[Frame, FrameReading]:
    faces = tuple(
        FaceReading(source, 0, time_s, n, (0, 0, 9, 9), 1.0, LABELS, (p, 1 - p), 0.0, None if time_s is None else n)
        for n, p in enumerate(happy)
    )
    return Frame(BLANK, source, 0, time_s), FrameReading(source, 0, time_s, faces)


def _smooth(times_s: Sequence[float], happy: Happy, window_s: float = 0.5) -> np.ndarray:
    """Return the smoothed probability of "happy" of one face at each time."""
    readings = [reading for _, reading in smoothed((_reading(t, [happy(t)]) for t in times_s), window_s)]
    assert [reading.time_s for reading in readings] == list(times_s), "each frame comes out once, in order"
    assert all(sum(reading.faces[0].probabilities) == pytest.approx(1) for reading in readings)
    return np.array([reading.faces[0].probabilities[0] for reading in readings])


def _switches(happy: np.ndarray) -> int:
    return int(np.abs(np.diff(happy > 0.5)).sum())


def test_a_window_of_nothing_changes_nothing() -> None:
    assert _smooth([0.0, 0.1, 0.2], lambda t: 0.2 + t, window_s=0) == pytest.approx([0.2, 0.3, 0.4])


def test_flicker_goes_and_a_true_change_is_seen_in_time() -> None:
    random = np.random.default_rng(0)
    times = np.sort(random.uniform(0, 10, 250))  # irregular, 25 a second on average
    noise = dict(zip(times, random.normal(0, 0.25, 250), strict=True))
    shown = _smooth(times, lambda t: float(np.clip((0.35 if t < 5 else 0.65) + noise[t], 0, 1)))
    raw = np.array([np.clip((0.35 if t < 5 else 0.65) + noise[t], 0, 1) for t in times])
    assert _switches(shown) <= 0.3 * _switches(raw)
    clean = _smooth(times, lambda t: float(t >= 5))
    assert abs(times[np.argmax(clean > 0.5)] - 5) <= 0.1
    assert clean[times > 5.25].min() == pytest.approx(1), "nothing lags by more than half the window"
    assert clean[times < 4.75].max() == pytest.approx(0)


def test_ten_frames_at_once_say_no_more_than_one() -> None:
    """A burst of "sad" within 20 ms, among "happy" frames every 40 ms."""
    times = sorted([*np.arange(0, 1, 0.04), *np.linspace(0.501, 0.519, 10)])
    shown = _smooth(times, lambda t: 0.0 if 0.5 < t < 0.52 else 1.0)
    assert shown.min() > 0.8


def test_weights_are_symmetric_vanish_at_half_the_window_and_follow_the_span() -> None:
    weights = window_weights(np.array([-0.3, -0.25, -0.1, 0.0, 0.1, 0.25, 0.3]), 0.0, 0.5)
    assert weights == pytest.approx(weights[::-1])
    assert weights[[0, 1]] == pytest.approx([0, 0], abs=1e-12)
    assert weights[3] == max(weights)


def test_faces_do_not_mix_and_neither_do_sources_and_photos_are_left_alone() -> None:
    frames = [
        *(_reading(t / 25, [0.9, 0.1]) for t in range(10)),
        _reading(None, [0.3], "photo.jpg"),
        *(_reading(t / 25, [0.2], "b.mp4") for t in range(10)),
    ]
    readings = [reading for _, reading in smoothed(iter(frames), 0.5)]
    assert [reading.source for reading in readings] == ["a.mp4"] * 10 + ["photo.jpg"] + ["b.mp4"] * 10
    assert readings[5].faces[0].probabilities[0] == pytest.approx(0.9)
    assert readings[5].faces[1].probabilities[0] == pytest.approx(0.1)
    assert readings[10].faces[0].probabilities[0] == 0.3
    assert readings[11].faces[0].probabilities[0] == pytest.approx(0.2)


def test_a_frame_waits_no_longer_than_half_the_window() -> None:
    taken = []

    def source():  # type: ignore[no-untyped-def]
        for number in range(100):
            taken.append(number)
            yield _reading(number / 25, [0.5])

    for number, _ in enumerate(smoothed(source(), 0.5)):
        assert taken[-1] - number <= 0.25 * 25 + 1


def test_a_gap_longer_than_any_window_leaves_what_came_before_it_smoothed() -> None:
    """Also where the track that came before it is not there after it."""
    seen = [_reading(0.0, [0.9]), _reading(0.1, [0.1]), _reading(0.2, [0.9]), _reading(5.0, [])]
    before = [reading for _, reading in smoothed(seen, 0.5)][:3]
    whole = [reading for _, reading in smoothed(seen[:3], 0.5)]
    assert [one.faces[0].probabilities for one in before] == [one.faces[0].probabilities for one in whole]
    assert 0.1 < before[1].faces[0].probabilities[0] < 0.9


def test_times_that_begin_anew_hold_nothing_back() -> None:
    """As in joined clips."""
    given = [_reading(t, [happy]) for happy in (0.2, 0.8) for t in (2.0, 2.1, 2.2)]
    held, most = 0, 0

    def counted() -> Iterator[tuple[Frame, FrameReading]]:
        nonlocal held, most
        for one in given:
            held, most = held + 1, max(most, held + 1)
            yield one

    out = []
    for _, reading in smoothed(counted(), 0.1):
        held -= 1
        out.append(reading)
    assert [one.time_s for one in out] == [2.0, 2.1, 2.2] * 2
    assert [round(one.faces[0].probabilities[0], 6) for one in out] == [0.2] * 3 + [0.8] * 3
    assert most <= 3
