"""Each face as a picture of its own, named so that it is found again.

In: frames with their readings.  Out: `<source>-f<frame>-t<track>-<expression>.jpg` in one folder, for photos
`face<number>` in place of the track; the box with some margin, as the face stands in the picture.
"""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from mien.files import make_folder, shortened, written_beside
from mien.reading.face_reading import FrameReading
from mien.reading.sinks import check_apart
from mien.reading.sources import Frame

MARGIN = 0.25  # of the box, on each side: hair and chin belong to a face
JPEG_QUALITY = 92


class FaceCrops:
    """Writes a JPEG for each face of each frame."""

    def __init__(self, folder: Path, sources: Sequence[Path]) -> None:
        """Prepare to write the faces of `sources` into `folder`; it is made if it is not there.

        Raises:
            OutputError: One of the sources lies in the folder.
        """
        check_apart(folder, sources)
        self._folder = folder
        self._names: dict[str, str] = {}  # source -> the beginning of its names, which no other source shares

    def __enter__(self) -> Self:
        """Make the folder."""
        make_folder(self._folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: each picture is written whole."""

    def write(self, frame: Frame, reading: FrameReading) -> None:
        """Write the frame's faces."""
        height, width = frame.image_bgr.shape[:2]
        for face in reading.faces:
            x, y, w, h = face.box_xywh_px
            left, right = (round(min(max(side, 0), width)) for side in (x - MARGIN * w, x + w + MARGIN * w))
            top, bottom = (round(min(max(side, 0), height)) for side in (y - MARGIN * h, y + h + MARGIN * h))
            if right <= left or bottom <= top:
                continue
            number = f"face{face.face}" if face.track is None else f"t{face.track:03d}"
            name = f"{self._name(frame.source)}-f{frame.index:06d}-{number}-{face.expression}.jpg"
            part = np.ascontiguousarray(frame.image_bgr[top:bottom, left:right])
            jpeg = cv2.imencode(".jpg", part, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
            with written_beside(self._folder / name) as beside:
                beside.write_bytes(jpeg.tobytes())

    def _name(self, source: str) -> str:
        """Return a beginning of its own, also for a.jpg beside a.png, or two folders with an a.jpg each."""
        if source not in self._names:
            stem, number = shortened(Path(source).stem) or "image", 2
            name, taken = stem, {name.casefold() for name in self._names.values()}  # macOS and Windows see no case
            while name.casefold() in taken:
                name, number = f"{stem}-{number}", number + 1
            self._names[source] = name
        return self._names[source]
