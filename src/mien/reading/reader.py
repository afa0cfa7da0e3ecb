"""The flow of reading: pixels -> faces -> expressions -> sinks. Read from the top."""

import json
import math
import os
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mien.classifier import Classifier
from mien.errors import DamagedClip, InputError
from mien.files import as_text, sha256
from mien.photos import BROKEN, upright_bgr
from mien.preprocess import crop_face
from mien.reading.detectors import AUTO, Detection, FaceDetector, OneAtATime, make_detector
from mien.reading.face_reading import FaceReading, Faces, FrameReading
from mien.reading.finder import SEARCH_EVERY_S, Finder, Found
from mien.reading.pipeline import ahead
from mien.reading.resume import Begun, gone_on, warm_up_s
from mien.reading.sinks import Sink
from mien.reading.smoothing import smoothed
from mien.reading.sources import Frame, frames, path_of
from mien.weights import DEFAULT_MODEL

if TYPE_CHECKING:
    from PIL.Image import Image

Source: TypeAlias = "str | os.PathLike[str] | NDArray[np.uint8] | Image"
"""What one call reads: a path, an image, or a picture of Pillow's."""
SMOOTH_S, SMOOTH_MOST_S = 0.5, 10.0
# Faces of several frames share one call of the network, which reads up to a third more faces a second in batches
# of 8 than one by one; more brings nothing, and costs memory.
BATCH_FACES, BATCH_FRAMES, BATCH_BYTES = 8, 8, 64_000_000


@dataclass(slots=True)
class ReadSummary:
    """What became of a reading of many files.

    Attributes:
        files: Files read to their end.
        frames: Frames read.
        faces: Faces read.
        failures: The sentence for each file that could not be read, or only in part.
    """

    files: int = 0
    frames: int = 0
    faces: int = 0
    failures: list[str] = field(default_factory=list)


class Reader:
    """Finds faces and reads their expressions; opens its models once, for many calls.

    Attributes:
        detector: The face detector in use.
        classifier: The expression model in use.
        smooth_s: Seconds over which a clip's probabilities are averaged along each track.
    """

    def __init__(
        self,
        *,
        model: str | Path = DEFAULT_MODEL,
        detector: str = AUTO,
        largest: bool = False,
        smooth_s: float = SMOOTH_S,
        every_s: float = 0.0,
        search_every_s: float = SEARCH_EVERY_S,
        offline: bool = False,
        threads: int = 1,
    ) -> None:
        """Open the models.

        Args:
            model: A bundled model's name, or the path of a model file.
            detector: "auto", "haar", "yunet" or "dlib"; see `mien.reading.detectors.make_detector`.
            largest: Read only the largest face of each frame.
            smooth_s: In clips, average each face's probabilities over this many seconds of its track; 0 to 10.
            every_s: In clips, read a frame so often, on average; 0: each one.
            search_every_s: In clips, search the whole frame for faces this often, and between that only where faces
                were; 0: each frame.
            offline: Never download a detector's model.
            threads: Threads that the expression model may use.

        Raises:
            ModelError: No such model.
            DetectorError: No such detector.
            WeightsError: The detector's model is not at hand, and cannot or must not be downloaded.
            MissingExtraError: dlib is not installed.
            InputError: A time is not a number of seconds, or smooth_s is more than 10.
        """
        for name, time_s in (("smooth_s", smooth_s), ("every_s", every_s), ("search_every_s", search_every_s)):
            if not (isinstance(time_s, Real) and 0 <= time_s < math.inf):
                raise InputError(f"{name} must be a number of seconds, 0 or more, such as 0.2; got {time_s!r}.")
        if smooth_s > SMOOTH_MOST_S:
            raise InputError(
                f"smooth_s (--smooth) may be {SMOOTH_MOST_S:.0f} s at most, since frames wait in memory for half of "
                f"it; got {smooth_s:g}. For longer means, average the table."
            )
        self.classifier = Classifier(model, threads=threads)
        self.detector: FaceDetector = OneAtATime(make_detector(detector, offline=offline))
        self.smooth_s = smooth_s
        self._largest = largest
        self._every_s = every_s
        self._search_every_s = search_every_s

    def read(self, source: Source, *, rgb: bool = False) -> Faces:
        """Return every face of a photo, a clip or an image, frame by frame, largest first; none is [].

        Args:
            source: A path, an image (H, W, 3) uint8, or (H, W) uint8 grey, or a picture of Pillow's, which is turned
                upright by its EXIF flag as a file is: boxes are of the upright picture.
            rgb: The array's channels are red, green, blue; otherwise blue, green, red, as OpenCV has them.

        Raises:
            InputError: The file cannot be read, or the array is no image.
        """
        return Faces(face for reading in self.stream(source, rgb=rgb) for face in reading.faces)

    def stream(self, source: Source, *, rgb: bool = False) -> Iterator[FrameReading]:
        """Yield a FrameReading for each frame, also for those without faces; takes what `read` takes.

        A clip that is damaged gives a warning after the frames that could be read.

        Raises:
            InputError: As `read`.
        """
        if not isinstance(source, str | os.PathLike):
            yield self.read_frame(Frame(_as_bgr(source, rgb=rgb)))
            return
        failures: list[InputError] = []
        for _, reading in self.readings(_frames_of([path_of(source)], self._every_s, failures.append)):
            yield reading
        for failure in failures:
            if not isinstance(failure, DamagedClip):
                raise failure
            warnings.warn(str(failure), stacklevel=2)

    def read_frame(self, frame: Frame) -> FrameReading:
        """Return the faces of one frame by itself: no track, no smoothing."""
        found = self.finder().find(Frame(frame.image_bgr, frame.source, frame.index))
        (reading,) = self.classify([Found(frame, found.faces, found.hidden)])
        return reading

    def readings(self, source: Generator[Frame, None, None]) -> Iterator[tuple[Frame, FrameReading]]:
        """Yield each frame with its reading, in order; decoding, finding and classifying overlap."""
        found = ahead(self._find(ahead(source)))
        yield from smoothed(self._classified(found), self.smooth_s)

    def finder(self) -> Finder:
        """Return a finder with this reader's detector and settings."""
        return Finder(self.detector, every_s=self._search_every_s, largest=self._largest)

    def _find(self, source: Iterable[Frame]) -> Generator[Found, None, None]:
        finder = self.finder()
        for frame in source:
            yield finder.find(frame)

    def _classified(self, source: Iterable[Found]) -> Iterator[tuple[Frame, FrameReading]]:
        batch: list[Found] = []
        for found in source:
            batch.append(found)
            full = len(batch) >= BATCH_FRAMES or sum(len(each.faces) for each in batch) >= BATCH_FACES
            if full or sum(each.frame.image_bgr.size for each in batch) >= BATCH_BYTES:
                yield from zip((each.frame for each in batch), self.classify(batch), strict=True)
                batch = []
        yield from zip((each.frame for each in batch), self.classify(batch), strict=True)

    def classify(self, batch: Sequence[Found]) -> list[FrameReading]:
        """Return the readings of frames whose faces were found, all in one call of the network."""
        spec = self.classifier.card.input
        faces_u8 = [
            crop_face(found.frame.image_bgr, face.crop_xywh_px, spec, tilt_deg=face.tilt_deg)
            for found in batch
            for face, _ in found.faces
        ]
        rows = zip(faces_u8, self.classifier.probabilities(np.array(faces_u8, np.uint8)), strict=True)
        return [
            FrameReading(
                source=found.frame.source,
                frame=found.frame.index,
                time_s=found.frame.time_s,
                faces=tuple(
                    self._face_reading(found.frame, number, face, track, *next(rows))
                    for number, (face, track) in enumerate(found.faces)
                ),
                hidden_xywh_px=found.hidden,
            )
            for found in batch
        ]

    def read_into(
        self,
        sinks: Sequence[Sink],
        files: Sequence[Path],
        *,
        on_frame: Callable[[FrameReading], None] = lambda reading: None,
        on_failure: Callable[[str], None] = lambda sentence: None,
        begun: Begun | None = None,
    ) -> ReadSummary:
        """Read files one after another into sinks.

        One broken file among several is noted in the summary, and the others are read. What could be read of a
        damaged clip is kept.

        Args:
            sinks: Where readings go.
            files: Photos and clips.
            on_frame: Told of each frame, for a progress bar.
            on_failure: Told of each file that cannot be read, or not to its end, before what follows it is written.
            begun: What a table holds already: only what it lacks is written.

        Raises:
            InputError: The only file cannot be read.
        """
        summary, failures = ReadSummary(), list[InputError]()

        def failed(error: InputError) -> None:
            failures.append(error)
            on_failure(str(error))

        readings = self.readings(_frames_of(files, self._every_s, failed, begun, warm_up_s(self.smooth_s)))
        for frame, reading in readings if begun is None else gone_on(readings, begun):
            for sink in sinks:
                sink.write(frame, reading)
            summary.frames += 1
            summary.faces += len(reading.faces)
            on_frame(reading)
        if len(files) == 1 and failures and not isinstance(failures[0], DamagedClip):
            raise failures[0]
        earlier = begun.failures if begun else ()
        summary.failures = list(dict.fromkeys([*earlier, *map(str, failures)]))  # a file tried again fails again
        summary.files = len(files) - len(summary.failures)
        return summary

    @cached_property
    def _model_sha256(self) -> str:
        return sha256(self.classifier.path)

    def settings(self, files: Sequence[Path]) -> str:
        """Return as JSON what decides the rows that reading these files gives: of them, their names and sizes."""
        return json.dumps(
            {
                "model": self._model_sha256,
                "detector": self.detector.name,
                "largest": self._largest,
                "smooth_s": self.smooth_s,
                "every_s": self._every_s,
                "search_every_s": self._search_every_s,
                "files": [[as_text(file), _size_bytes(file)] for file in files],
            }
        )

    def _face_reading(
        self,
        frame: Frame,
        number: int,
        face: Detection,
        track: int | None,
        face_u8: NDArray[np.uint8],
        probabilities: NDArray[np.float32],
    ) -> FaceReading:
        card = self.classifier.card
        x, y, w, h = (round(value) for value in face.box_xywh_px)
        return FaceReading(
            source=frame.source,
            frame=frame.index,
            time_s=frame.time_s,
            face=number,
            box_xywh_px=(x, y, w, h),
            detection_score=face.score,
            labels=card.labels,
            probabilities=tuple(probabilities.tolist()),
            unsure_below=card.calibration.unsure_below if card.calibration else 0.0,
            track=track,
            face_u8=face_u8,
        )


def _size_bytes(file: Path) -> int | None:
    """Return a file's size; None where this user may not look, which its reading will say."""
    try:
        return file.stat().st_size
    except PermissionError:
        return None


def _frames_of(
    files: Sequence[Path],
    every_s: float,
    failed: Callable[[InputError], None],
    begun: Begun | None = None,
    again_s: float = 0.0,
) -> Generator[Frame, None, None]:
    """Yield the frames of all files; tell what cannot be read, and go on.

    Of what is in a table already only the last source's last `again_s` seconds are read.
    """
    for file in files:
        from_s = -math.inf
        if begun and as_text(file) in begun.sources:
            if as_text(file) != begun.source or begun.time_s is None:
                continue
            from_s = begun.time_s - again_s
        try:
            yield from frames(file, every_s=every_s, from_s=from_s)
        except InputError as error:
            failed(error)


def _as_bgr(image: object, *, rgb: bool) -> NDArray[np.uint8]:
    if not isinstance(image, np.ndarray):
        return _of_pillow(image)
    if (
        image.dtype != np.uint8
        or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3))
        or 0 in image.shape
    ):
        raise InputError(
            f"An image must be uint8 of shape (height, width, 3) or (height, width); got {image.dtype} {image.shape}. "
            "Bring its values to 0-255 with .astype(np.uint8), leave out alpha, and give several one by one."
        )
    if image.ndim == 2:
        return np.repeat(image[:, :, None], 3, axis=2)
    return np.ascontiguousarray(image[:, :, ::-1]) if rgb else image


def _of_pillow(picture: object) -> NDArray[np.uint8]:
    from PIL import Image

    if not isinstance(picture, Image.Image):
        raise InputError(
            f"Wanted a path, a numpy array or a picture of Pillow's; got {type(picture).__name__}. "
            "Give several one by one, and anything else that holds pixels as np.asarray(…)."
        )
    if 0 in picture.size:
        raise InputError(
            f"The picture has no pixel ({picture.width} x {picture.height}); give one that shows something."
        )
    try:
        return upright_bgr(picture)
    except BROKEN as error:  # it reads its file only now
        raise InputError(f"The picture cannot be read to its end ({error}); copy or download it again.") from error
