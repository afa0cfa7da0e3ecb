"""Each face keeps its number from frame to frame.

In: the detections of a frame and its time.  Out: the faces among them, each with the number of its track.

A track is predicted by its own motion; the cheapest assignment of all detections to all tracks wins. Detections that
are not sure begin no track, and go on with one (Zhang et al. 2022, "ByteTrack"). Why not a
package: docs/decisions/0008.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.preprocess import Box
from mien.reading.detectors import Detection, overlap, square

MAX_GAP_S = 0.5  # a face that was not seen for longer than this is a new one
# How far a detection may lie from a track's prediction, in sides of the face: so much, and so much more for each
# second since the track was seen, but never more than the last; a change of size by a factor e counts as one side.
# Somebody who walks past a camera moves six faces a second.
REACH, REACH_PER_S, MOST_REACH = 0.6, 6.0, 2.5
UNSURE_OVERLAP = 0.3  # of a detection that is not sure with the track's prediction, intersection over union
# Gains of the alpha-beta filter that follows centre and speed: an error counts for the speed the more, the longer it
# took to arise, half after this many seconds. Tried on the crossings of `benchmarks/reading.py quality`.
POSITION_GAIN, SIZE_GAIN = 0.8, 0.5
SPEED_HALF_S = 0.25


@dataclass(frozen=True, slots=True)
class TrackedFace:
    """A detection and the number of its track, counted from 0 through one source."""

    detection: Detection
    track: int


@dataclass(slots=True)
class Track:
    """A face that is followed.

    Attributes:
        number: Counted from 0 through one source.
        centre_px: Where it is, x + iy.
        speed_px_s: How it moves.
        side_px: Geometric mean of the sides of its box.
        aspect: Width of its box over its height.
        seen_s: When it was last seen.
    """

    number: int
    centre_px: complex
    speed_px_s: complex
    side_px: float
    aspect: float
    seen_s: float

    def box_at(self, time_s: float) -> Box:
        """Return where the face's box is expected at a time."""
        x, y, side, _ = square(*_parts(self.centre_px + self.speed_px_s * (time_s - self.seen_s)), self.side_px)
        width, height = side * math.sqrt(self.aspect), side / math.sqrt(self.aspect)
        return (x + (side - width) / 2, y + (side - height) / 2, width, height)

    def follow(self, detection: Detection, time_s: float) -> None:
        """Move to where the face was seen."""
        centre, side, aspect = _shape(detection)
        since_s = max(time_s - self.seen_s, 1e-3)
        expected = self.centre_px + self.speed_px_s * since_s
        self.centre_px = expected + POSITION_GAIN * (centre - expected)
        self.speed_px_s += (centre - expected) / (since_s + SPEED_HALF_S)
        self.side_px += SIZE_GAIN * (side - self.side_px)
        self.aspect, self.seen_s = aspect, time_s


class Tracker:
    """Follows the faces of one source.

    Attributes:
        tracks: Those that may go on.
        last_s: Time of the last frame.
    """

    def __init__(self) -> None:
        self.tracks: list[Track] = []
        self._next = 0
        self.last_s = -math.inf

    def update(self, found: Sequence[Detection], time_s: float) -> list[TrackedFace]:
        """Take a frame's detections; return its faces. Times must not fall."""
        # Whoever was in the last frame is not lost, however long ago that was.
        self.tracks = [
            track for track in self.tracks if time_s - track.seen_s <= MAX_GAP_S or track.seen_s >= self.last_s
        ]
        self.last_s = time_s
        sure, unsure = ([face for face in found if face.sure is kind] for kind in (True, False))
        costs = np.array([[_cost(track, face, time_s) for face in sure] for track in self.tracks])
        faces = self._matched(costs, self.tracks, sure, time_s)
        left = [track for track in self.tracks if all(face.track != track.number for face in faces)]
        costs = np.array([[_unsure_cost(track, face, time_s) for face in unsure] for track in left])
        faces += self._matched(costs, left, unsure, time_s)
        known = {id(face.detection) for face in faces}
        for face in sure:
            if id(face) not in known:
                centre, side, aspect = _shape(face)
                self.tracks.append(Track(self._next, centre, 0j, side, aspect, time_s))
                faces.append(TrackedFace(face, self._next))
                self._next += 1
        return faces

    def cut(self) -> None:
        """End all tracks: what comes next is another scene."""
        self.tracks = []

    @staticmethod
    def _matched(
        costs: NDArray[np.float64], tracks: Sequence[Track], found: Sequence[Detection], time_s: float
    ) -> list[TrackedFace]:
        faces = []
        for row, column in cheapest_pairs(costs):
            tracks[row].follow(found[column], time_s)
            faces.append(TrackedFace(found[column], tracks[row].number))
        return faces


def _shape(detection: Detection) -> tuple[complex, float, float]:
    """Return centre, side and aspect of a detection's box."""
    x, y, w, h = detection.box_xywh_px
    return complex(x + w / 2, y + h / 2), math.sqrt(w * h), w / h


def _parts(point: complex) -> tuple[float, float]:
    return point.real, point.imag


def _cost(track: Track, detection: Detection, time_s: float) -> float:
    """Return how far a detection is from where the track should be, in sides of the face; inf if too far."""
    centre, side, _ = _shape(detection)
    since_s = time_s - track.seen_s
    away = abs(centre - track.centre_px - track.speed_px_s * since_s) / max(side, track.side_px)
    cost = away + abs(math.log(side / track.side_px))
    return cost if cost <= min(REACH + REACH_PER_S * since_s, MOST_REACH) else math.inf


def _unsure_cost(track: Track, detection: Detection, time_s: float) -> float:
    shared = overlap(detection.box_xywh_px, track.box_at(time_s))
    return 1 - shared if shared >= UNSURE_OVERLAP else math.inf


def cheapest_pairs(costs: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return pairs (row, column), each row and column at most once: as many as there can be, at the least cost.

    Args:
        costs: (rows, columns), or empty; inf where a pair must not be.
    """
    if costs.size == 0:
        return []
    never = 1 + 2 * float(costs[np.isfinite(costs)].sum() if np.isfinite(costs).any() else 0)
    turned = costs.shape[0] > costs.shape[1]
    finite = np.where(np.isfinite(costs), costs, never)
    columns = _assignment(finite.T if turned else finite)
    pairs = [(column, row) if turned else (row, column) for row, column in enumerate(columns)]
    return [pair for pair in pairs if np.isfinite(costs[pair])]


def _assignment(costs: NDArray[np.float64]) -> list[int]:
    """Return the column of each row at the least total cost; no more rows than columns (Kuhn 1955, Munkres 1957).

    Rows are added one by one. Each looks for the cheapest way to a free column, over columns whose rows would have to
    move on; the potentials keep every reduced cost at or above zero, so that this is Dijkstra's search.
    """
    rows, columns = costs.shape
    row_potential, column_potential = np.zeros(rows + 1), np.zeros(columns + 1)
    row_of = np.zeros(columns + 1, int)  # both counted from 1; 0 is none
    for row in range(1, rows + 1):
        row_of[0], here = row, 0
        least, before = np.full(columns + 1, np.inf), np.zeros(columns + 1, int)
        done = np.zeros(columns + 1, bool)
        while row_of[here]:
            done[here] = True
            reduced = costs[row_of[here] - 1] - row_potential[row_of[here]] - column_potential[1:]
            better = ~done[1:] & (reduced < least[1:])
            least[1:][better], before[1:][better] = reduced[better], here
            here_next = int(np.argmin(np.where(done, np.inf, least)))
            step = least[here_next]
            row_potential[row_of[done]] += step
            column_potential[done] -= step
            least[~done] -= step
            here = here_next
        while here:
            row_of[here], here = row_of[before[here]], int(before[here])
    column_of = [0] * rows
    for column in range(1, columns + 1):
        if row_of[column]:
            column_of[row_of[column] - 1] = column - 1
    return column_of
