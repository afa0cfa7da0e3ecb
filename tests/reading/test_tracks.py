from collections.abc import Sequence

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from mien.reading.detectors import Detection, square
from mien.reading.tracks import Tracker, cheapest_pairs


def _face(x: float, y: float = 100, side: float = 60, *, sure: bool = True) -> Detection:
    box = square(x, y, side)
    return Detection(box, box, 1.0, sure=sure)


def _numbers(tracker: Tracker, faces: Sequence[Detection], time_s: float) -> list[int]:
    """Return the tracks of a frame's faces, in the order of the faces."""
    tracks = {id(face.detection): face.track for face in tracker.update(faces, time_s)}
    return [tracks[id(face)] for face in faces if id(face) in tracks]


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (2, 6), (7, 4), (12, 12)])
def test_the_assignment_costs_no_more_than_scipys(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        costs = random.random(shape)
        pairs = cheapest_pairs(costs)
        assert len(pairs) == min(shape)
        assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
        assert sum(costs[pair] for pair in pairs) == pytest.approx(costs[linear_sum_assignment(costs)].sum())


def test_pairs_that_must_not_be_are_left_out_and_as_many_others_made_as_can_be() -> None:
    costs = np.array([[0.1, 0.2, np.inf], [0.1, np.inf, np.inf], [np.inf, np.inf, np.inf]])
    assert sorted(cheapest_pairs(costs)) == [(0, 1), (1, 0)]
    assert cheapest_pairs(np.empty((0, 3))) == []


def test_at_a_frame_a_second_nobody_walks_four_sides() -> None:
    tracker = Tracker()
    assert _numbers(tracker, [_face(100)], 0.0) == [0]
    assert _numbers(tracker, [_face(100 + 2 * 60)], 1.0) == [0]
    assert _numbers(tracker, [_face(220 + 4 * 60)], 2.0) == [1]


def test_faces_that_cross_keep_their_numbers() -> None:
    """Two faces walk through each other; while they overlap, the detector sees one of them only."""
    random = np.random.default_rng(1)
    tracker, seen = Tracker(), []
    for frame in range(75):
        time_s = frame / 25
        left, right = (_face(100 + 150 * time_s, 100), _face(500 - 150 * time_s, 112))
        left, right = (
            _face(f.box_xywh_px[0] + 30 + random.normal(0, 1.5), f.box_xywh_px[1] + 30) for f in (left, right)
        )
        hidden = abs(left.box_xywh_px[0] - right.box_xywh_px[0]) < 30
        seen.append(_numbers(tracker, [left] if hidden else [left, right], time_s))
    assert seen[0] == seen[-1] == [0, 1]
    assert all(numbers[0] == 0 for numbers in seen)
    assert any(len(numbers) == 1 for numbers in seen), "the crossing was hard"


@pytest.mark.parametrize(("gap_s", "number"), [(0.2, 0), (0.48, 0), (0.6, 1)])
def test_a_blink_of_the_detector_does_not_end_a_track(gap_s: float, number: int) -> None:
    tracker = Tracker()
    for frame in range(10):
        tracker.update([_face(100 + 2 * frame)], frame / 25)
    for frame in range(10, 10 + round(gap_s * 25) - 1):
        tracker.update([], frame / 25)
    later_s = 9 / 25 + gap_s
    assert _numbers(tracker, [_face(100 + 50 * later_s)], later_s) == [number]


def test_frames_a_second_apart_are_no_blink() -> None:
    tracker = Tracker()
    assert [_numbers(tracker, [_face(100 + 20 * second)], float(second)) for second in range(4)] == [[0]] * 4


def test_a_detection_that_is_not_sure_goes_on_with_a_track_and_begins_none() -> None:
    tracker = Tracker()
    assert _numbers(tracker, [_face(100, sure=False)], 0.0) == []
    assert _numbers(tracker, [_face(100)], 0.04) == [0]
    assert _numbers(tracker, [_face(104, sure=False), _face(400, sure=False)], 0.08) == [0]


def test_another_face_far_away_or_of_another_size_is_another_track() -> None:
    tracker = Tracker()
    tracker.update([_face(100)], 0.0)
    assert _numbers(tracker, [_face(300)], 0.04) == [1]
    assert _numbers(tracker, [_face(100, side=200)], 0.08) == [2]


def test_a_cut_ends_tracks() -> None:
    tracker = Tracker()
    tracker.update([_face(100)], 0.0)
    tracker.cut()
    assert _numbers(tracker, [_face(100)], 0.04) == [1]
