"""A reading that was stopped goes on, as if it had not been; but of `largest`, a face that comes back has a new track.

In: the readings of the last source from shortly before the end of what is in the table.  Out: what the table lacks,
the tracks under the numbers they have there.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from mien.preprocess import Box
from mien.reading.detectors import overlap
from mien.reading.face_reading import FaceReading, FrameReading
from mien.reading.sources import Frame
from mien.reading.tracks import MAX_GAP_S

LAST_S = 1.0  # of a table's last source: its faces then are those whose tracks go on
SAME_FACE = 0.5  # overlap, intersection over union, of one face found twice in one frame


@dataclass(frozen=True, slots=True)
class Begun:
    """What an unfinished table holds.

    Attributes:
        sources: Files that have rows.
        source: The last of them.
        frame: Number of its last frame.
        time_s: That frame's time; None for a photo.
        boxes: Frame, box and track of each face of its last second.
        tracks: How many tracks that source has had.
        rows: Rows in all.
        failures: What could not be read of the sources before, a sentence each.
    """

    sources: frozenset[str]
    source: str
    frame: int
    time_s: float | None
    boxes: tuple[tuple[int, Box, int], ...]
    tracks: int
    rows: int
    failures: tuple[str, ...] = ()


def warm_up_s(smooth_s: float) -> float:
    """Return how much before its end the last source is read again: a track's longest gap and half the window."""
    return max(LAST_S, MAX_GAP_S + smooth_s / 2)


def gone_on(readings: Iterable[tuple[Frame, FrameReading]], begun: Begun) -> Iterator[tuple[Frame, FrameReading]]:
    """Yield the readings that come after what was begun, with its track numbers."""
    numbers: dict[int, int] = {}  # this reading's tracks -> the table's

    def renumbered(face: FaceReading) -> FaceReading:
        assert face.track is not None
        if face.track not in numbers:
            numbers[face.track] = max([begun.tracks - 1, *numbers.values()]) + 1
        return replace(face, track=numbers[face.track])

    for frame, reading in readings:
        if reading.source != begun.source:
            yield frame, reading
        elif reading.frame > begun.frame:
            yield frame, replace(reading, faces=tuple(renumbered(face) for face in reading.faces))
        else:
            for face in reading.faces:
                for number, box, track in begun.boxes:
                    if number == reading.frame and overlap(box, face.box_xywh_px) > SAME_FACE:
                        numbers[face.track or 0] = track
