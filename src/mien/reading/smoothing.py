"""Probabilities made steady along each track, in seconds, not in frames.

In: readings with their times.  Out: the same, each face's probabilities averaged with those of its track nearby.

Each probability counts by how near in time it is (a Hann window, so that none enters or leaves with a jump) and by
how much time it stands for: ten frames within a blink say no more than one. Labels are never averaged.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mien.reading.face_reading import FaceReading, FrameReading
from mien.reading.sources import Frame


class Smoother:
    """Remembers the recent probabilities of each track of one source."""

    def __init__(self, window_s: float) -> None:
        """Prepare to average over `window_s` seconds; 0 leaves everything as it is."""
        self._window_s = window_s
        self._tracks: dict[int, deque[tuple[float, tuple[float, ...]]]] = {}

    def add(self, reading: FrameReading) -> None:
        """Remember a frame's faces, and forget what no window reaches any more."""
        assert reading.time_s is not None
        for face in reading.faces:
            if face.track is not None:
                self._tracks.setdefault(face.track, deque()).append((reading.time_s, face.probabilities))
        for track in list(self._tracks):
            seen = self._tracks[track]
            while seen and seen[0][0] < reading.time_s - 2 * self._window_s:
                seen.popleft()
            if not seen:
                del self._tracks[track]

    def forget(self, track: int | None) -> None:
        """Forget what a track showed so far."""
        if track is not None:
            self._tracks.pop(track, None)

    def steady(self, reading: FrameReading, *, centre_s: float) -> FrameReading:
        """Return a reading with its faces' probabilities averaged over the window around `centre_s`."""
        if self._window_s <= 0:
            return reading
        return replace(reading, faces=tuple(self._steady(face, centre_s) for face in reading.faces))

    def _steady(self, face: FaceReading, centre_s: float) -> FaceReading:
        if face.track is None:
            return face
        times, rows = zip(*self._tracks[face.track], strict=True)
        weights = window_weights(np.array(times), centre_s, self._window_s)
        if not weights.any():
            return face
        mean = np.array(rows).T @ (weights / weights.sum())
        return replace(face, probabilities=tuple(mean.tolist()))


def window_weights(times_s: NDArray[np.float64], centre_s: float, window_s: float) -> NDArray[np.float64]:
    """Return the weight of each time, (N,): nearness to the centre times the span that it stands for."""
    away = (times_s - centre_s) / window_s
    near = np.where(np.abs(away) <= 0.5, np.cos(np.pi * away) ** 2, 0.0)
    if len(times_s) == 1:
        return near
    gaps = np.diff(times_s).clip(1e-6, window_s)
    span = (np.append(gaps[0], gaps) + np.append(gaps, gaps[-1])) / 2
    return np.asarray(near * span)


def smoothed(readings: Iterable[tuple[Frame, FrameReading]], window_s: float) -> Iterator[tuple[Frame, FrameReading]]:
    """Yield readings in order, each averaged over the window around its own time.

    A reading is held back until half the window after it has been seen, or its source has ended.
    """
    waiting: deque[tuple[Frame, FrameReading]] = deque()
    smoother, source, last_s = Smoother(window_s), None, -np.inf

    def ready(now_s: float) -> Iterator[tuple[Frame, FrameReading]]:
        while waiting:
            frame, reading = waiting[0]
            assert reading.time_s is not None
            if reading.time_s + window_s / 2 > now_s:
                return
            waiting.popleft()
            yield frame, smoother.steady(reading, centre_s=reading.time_s)

    for frame, reading in readings:
        # Joined clips may begin their times anew.
        anew = reading.source != source or reading.time_s is None or reading.time_s < last_s
        if anew:
            yield from ready(np.inf)
        if reading.time_s is None or window_s <= 0:
            yield frame, reading
            continue
        if anew:
            smoother, source = Smoother(window_s), reading.source
        last_s = reading.time_s
        yield from ready(np.nextafter(last_s, -np.inf))  # before what they need is forgotten
        smoother.add(reading)
        waiting.append((frame, reading))
        yield from ready(last_s)
    yield from ready(np.inf)
