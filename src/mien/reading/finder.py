"""Where the faces of a source are: searched for, checked for cuts, tracked.

In: Frame after Frame of one source.  Out: the faces of each, with their tracks, and what else may be a face.

A clip's frames are searched whole every now and then; in between, only the neighbourhood of each known face is, which
is many times cheaper. A face that is not found there brings a search of the whole frame at once.
"""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.preprocess import Box
from mien.reading.detectors import MOST_OVERLAP, Detection, FaceDetector, overlap, without_doubles
from mien.reading.sources import Frame
from mien.reading.tracks import Tracker

SEARCH_EVERY_S = 0.5  # the whole frame; a new face is seen this much late at most
NEIGHBOURHOOD = 2.2  # side of the square that is searched, in sides of the face
SMALLEST_IN_NEIGHBOURHOOD = 0.25  # of that square; the face is expected at 1 / 2.2

# Two frames whose thumbnails differ by more than this, on average over the pixels and of 255, are two scenes. Within
# the sample clips frames up to 0.2 s apart differed by at most 15, a second apart by 25; eight unlike pictures by 43
# or more.
CUT_DIFFERENCE = 30.0
THUMBNAIL = (32, 18)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The faces of a frame.

    Attributes:
        frame: The frame.
        faces: What is to be read, largest first; the tracks are None for photos.
        hidden: Boxes of what may be a face and is not read: candidates that are not sure, and faces that were here a
            moment ago.
    """

    frame: Frame
    faces: tuple[tuple[Detection, int | None], ...]
    hidden: tuple[Box, ...]


class Finder:
    """Finds the faces of sources, one after another."""

    def __init__(self, detector: FaceDetector, *, every_s: float = SEARCH_EVERY_S, largest: bool = False) -> None:
        """Prepare to find.

        Args:
            detector: Looks at whole frames and at neighbourhoods.
            every_s: A clip's whole frame is searched this often; 0: each frame.
            largest: Keep only the largest face of each frame.
        """
        self._detector = detector
        self._every_s = every_s
        self._largest = largest
        self._source: str | None = None
        self._begin(None)

    def _begin(self, source: str | None) -> None:
        self._source = source
        self._tracker = Tracker()
        self._search_at_s = -np.inf
        self._thumbnail: NDArray[np.uint8] | None = None

    def find(self, frame: Frame) -> Found:
        """Return the faces of the next frame; a frame of another source begins anew."""
        if frame.time_s is None:
            found = self._detector.find(frame.image_bgr)
            return self._found(frame, [(face, None) for face in found if face.sure], found)
        if frame.source != self._source:
            self._begin(frame.source)
        if self._is_cut(frame.image_bgr) or frame.time_s < self._tracker.last_s:
            self._tracker.cut()
            self._search_at_s = frame.time_s
        found = self._search(frame.image_bgr, frame.time_s)
        tracked = self._tracker.update(found, frame.time_s)
        expected = [track.box_at(frame.time_s) for track in self._tracker.tracks if track.seen_s < frame.time_s]
        return self._found(frame, [(face.detection, face.track) for face in tracked], found, expected)

    def _found(
        self,
        frame: Frame,
        faces: list[tuple[Detection, int | None]],
        found: list[Detection],
        expected: list[Box] | None = None,
    ) -> Found:
        faces = sorted(faces, key=lambda face: _area(face[0]), reverse=True)
        if self._largest:
            faces = faces[:1]
        read = {id(face) for face, _ in faces}
        hidden = [face.box_xywh_px for face in found if id(face) not in read]
        return Found(frame, tuple(faces), (*hidden, *(expected or [])))

    def _search(self, image_bgr: NDArray[np.uint8], time_s: float) -> list[Detection]:
        nearby: list[Detection] = []
        places = [track.box_at(time_s) for track in self._tracker.tracks]
        due = time_s >= self._search_at_s
        if not due:
            lost = False
            for track, place in zip(self._tracker.tracks, places, strict=True):
                around = self._around(image_bgr, place)
                nearby += around
                lost |= not any(face.sure for face in around) and track.seen_s == self._tracker.last_s
            if not lost:
                return without_doubles(nearby)
        # On a grid of the clip's own time, so that a reading that goes on searches the same frames.
        self._search_at_s = (math.floor(time_s / self._every_s) + 1) * self._every_s if self._every_s else time_s
        whole = self._detector.find(image_bgr)
        if due and self._every_s:  # whole frames are searched more coarsely: a small face may be found only nearby
            for place in places:
                if all(overlap(place, face.box_xywh_px) <= MOST_OVERLAP for face in whole):
                    nearby += self._around(image_bgr, place)
        return without_doubles([*whole, *nearby]) if nearby else whole

    def _around(self, image_bgr: NDArray[np.uint8], box: Box) -> list[Detection]:
        """Return what is found in the neighbourhood of a box."""
        height, width = image_bgr.shape[:2]
        x, y, w, h = box
        reach = NEIGHBOURHOOD * max(w, h) / 2
        left, right = (round(min(max(x + w / 2 + way, 0), width)) for way in (-reach, reach))
        top, bottom = (round(min(max(y + h / 2 + way, 0), height)) for way in (-reach, reach))
        if right - left < 2 or bottom - top < 2:
            return []
        part = np.ascontiguousarray(image_bgr[top:bottom, left:right])
        return [_moved(face, left, top) for face in self._detector.find(part, smallest=SMALLEST_IN_NEIGHBOURHOOD)]

    def _is_cut(self, image_bgr: NDArray[np.uint8]) -> bool:
        thumbnail = np.asarray(cv2.resize(image_bgr, THUMBNAIL, interpolation=cv2.INTER_AREA), np.uint8)
        before, self._thumbnail = self._thumbnail, thumbnail
        return before is not None and float(cv2.absdiff(before, thumbnail).mean()) > CUT_DIFFERENCE


def _moved(face: Detection, left: int, top: int) -> Detection:
    box, crop = ((x + left, y + top, w, h) for x, y, w, h in (face.box_xywh_px, face.crop_xywh_px))
    return replace(face, box_xywh_px=box, crop_xywh_px=crop)


def _area(face: Detection) -> float:
    return face.box_xywh_px[2] * face.box_xywh_px[3]
