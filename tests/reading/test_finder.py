import numpy as np

from mien.preprocess import Box
from mien.reading.detectors import Detection, square
from mien.reading.finder import Finder, Found
from mien.reading.sources import Frame

ROOM = np.random.default_rng(0).integers(0, 60, (9, 16, 3), np.uint8).repeat(40, axis=0).repeat(40, axis=1)


class BrightSpots:
    """A detector that finds the white square in a picture, and notes how much of it was searched."""

    name = "spots"

    def __init__(self, *, blind_to_parts: bool = False, sees_whole: float = np.inf) -> None:
        self.searched: list[tuple[int, ...]] = []
        self._blind_to_parts = blind_to_parts
        self._sees_whole = sees_whole

    def find(self, image_bgr: np.ndarray, *, smallest: float = 0.03) -> list[Detection]:
        self.searched.append(image_bgr.shape[:2])
        if self._blind_to_parts and image_bgr.shape[0] < ROOM.shape[0]:
            return []
        if image_bgr.shape == ROOM.shape:
            self._sees_whole -= 1
            if self._sees_whole < 0:
                return []
        rows, columns = np.nonzero(image_bgr.min(axis=2) == 255)
        if len(rows) == 0:
            return []
        box = (float(columns.min()), float(rows.min()), float(np.ptp(columns) + 1), float(np.ptp(rows) + 1))
        return [Detection(box, box, 1.0)]


def _frame(time_s: float | None, x: int | None, *, room: np.ndarray = ROOM, source: str = "a.mp4") -> Frame:
    image = room.copy()
    if x is not None:
        image[100:160, x : x + 60] = 255
    return Frame(image, source, round((time_s or 0) * 25), time_s)


def _tracks(found: Found) -> list[int | None]:
    return [track for _, track in found.faces]


def test_between_searches_only_the_neighbourhood_is_looked_at_and_boxes_are_in_the_frame() -> None:
    detector = BrightSpots()
    finder = Finder(detector, every_s=0.5)
    boxes: list[Box] = []
    for number in range(26):
        (found,) = finder.find(_frame(number / 25, 100 + 4 * number)).faces
        boxes.append(found[0].box_xywh_px)
    assert boxes == [(100.0 + 4 * number, 100.0, 60.0, 60.0) for number in range(26)]
    whole = [number for number, shape in enumerate(detector.searched) if shape == ROOM.shape[:2]]
    assert whole == [0, 13, 25], "each half second of the clip's own time"
    assert max(shape[0] for number, shape in enumerate(detector.searched) if number not in whole) <= 134


def test_a_face_that_is_not_found_nearby_brings_a_search_of_the_whole_frame_at_once() -> None:
    finder = Finder(BrightSpots(), every_s=10)
    assert _tracks(finder.find(_frame(0.0, 100))) == [0]
    assert len(finder.find(_frame(0.04, 500)).faces) == 1
    detector = BrightSpots(blind_to_parts=True)
    finder = Finder(detector, every_s=10)
    assert [len(finder.find(_frame(n / 25, 100)).faces) for n in range(4)] == [1] * 4


def test_a_face_that_is_found_only_nearby_is_there_also_when_the_whole_frame_is_searched() -> None:
    """A whole frame is searched more coarsely."""
    finder = Finder(BrightSpots(sees_whole=1), every_s=0.2)
    assert [_tracks(finder.find(_frame(n / 25, 100))) for n in range(20)] == [[0]] * 20


def test_who_is_found_nearby_stays_while_another_is_lost() -> None:
    class One(Two):
        def find(self, image_bgr: np.ndarray, *, smallest: float = 0.03) -> list[Detection]:
            found = super().find(image_bgr, smallest=smallest)
            return [] if image_bgr.shape == ROOM.shape and len(found) == 1 else found

    finder, both, alone = Finder(One(), every_s=10), ROOM.copy(), ROOM.copy()
    both[100:160, 100:160] = both[100:160, 400:460] = alone[100:160, 100:160] = 255
    assert len(finder.find(Frame(both, "a.mp4", 0, 0.0)).faces) == 2
    assert len(finder.find(Frame(alone, "a.mp4", 1, 0.04)).faces) == 1


class Two:
    """A detector that finds the left corner of each of two white squares."""

    name = "two"

    def find(self, image_bgr: np.ndarray, *, smallest: float = 0.03) -> list[Detection]:
        white = image_bgr.min(axis=2) == 255
        starts = np.argwhere(white & ~np.roll(white, 1, 0) & ~np.roll(white, 1, 1))
        boxes = [(float(x), float(y), 60.0, 60.0) for y, x in starts if x and y]  # a part of one is none
        return [Detection(box, box, 1.0) for box in boxes]


def test_neighbours_that_are_found_in_each_others_neighbourhood_are_two() -> None:
    finder, image = Finder(Two(), every_s=10), ROOM.copy()
    image[100:160, 100:160] = image[100:160, 180:240] = 255
    for number in range(3):
        found = finder.find(Frame(image, "a.mp4", number, number / 25))
        assert sorted(track for track in _tracks(found) if track is not None) == [0, 1]


def test_every_frame_is_searched_whole_where_that_is_asked_for() -> None:
    detector = BrightSpots()
    finder = Finder(detector, every_s=0)
    for number in range(5):
        finder.find(_frame(number / 25, 100))
    assert detector.searched == [ROOM.shape[:2]] * 5


def test_a_cut_ends_tracks_and_is_searched_at_once() -> None:
    finder = Finder(BrightSpots(), every_s=10)
    assert [_tracks(finder.find(_frame(n / 25, 100))) for n in range(3)] == [[0]] * 3
    assert _tracks(finder.find(_frame(0.12, 100, room=200 - ROOM))) == [1]


def test_another_source_begins_anew_and_photos_have_no_tracks() -> None:
    finder = Finder(BrightSpots())
    finder.find(_frame(0.0, 100))
    finder.find(_frame(0.04, 400))
    assert _tracks(finder.find(_frame(0.0, 100, source="b.mp4"))) == [0]
    assert _tracks(finder.find(_frame(None, 100, source="c.jpg"))) == [None]


def test_times_that_fall_end_tracks_and_reuse_no_number() -> None:
    finder = Finder(BrightSpots())
    assert _tracks(finder.find(_frame(5.0, 100))) == [0]
    assert _tracks(finder.find(_frame(1.0, 100))) == [1]


def test_what_is_not_read_and_may_be_a_face_is_kept_for_hiding() -> None:
    class Unsure(BrightSpots):
        def find(self, image_bgr: np.ndarray, *, smallest: float = 0.03) -> list[Detection]:
            far = square(500, 300, 40)
            return [*super().find(image_bgr, smallest=smallest), Detection(far, far, 0.1, sure=False)]

    finder = Finder(Unsure(), every_s=0)
    assert finder.find(_frame(0.0, 100)).hidden == (square(500, 300, 40),)
    gone = finder.find(_frame(0.04, None))
    assert gone.faces == ()
    assert (100.0, 100.0, 60.0, 60.0) in gone.hidden, "a face that was here a moment ago"


def test_largest_keeps_one_and_hides_the_others() -> None:
    class Two:
        name = "two"

        def find(self, image_bgr: np.ndarray, *, smallest: float = 0.03) -> list[Detection]:
            return [Detection(box, box, 1.0) for box in (square(100, 100, 40), square(300, 100, 80))]

    found = Finder(Two(), largest=True).find(_frame(None, None))
    assert [face.box_xywh_px for face, _ in found.faces] == [square(300, 100, 80)]
    assert found.hidden == (square(100, 100, 40),)
