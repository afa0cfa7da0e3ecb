"""The flow of reading: pixels -> faces -> expressions -> sinks. Read from the top."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.classifier import Classifier
from mien.errors import DamagedClip, InputError
from mien.preprocess import crop_face
from mien.reading.detectors import AUTO, Detection, make_detector
from mien.reading.face_reading import FaceReading, FrameReading
from mien.reading.sinks import Sink
from mien.reading.sources import Frame, frames
from mien.weights import DEFAULT_MODEL


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
    """

    def __init__(
        self, *, model: str | Path = DEFAULT_MODEL, detector: str = AUTO, largest: bool = False, threads: int = 2
    ) -> None:
        """Open the models.

        Args:
            model: A bundled model's name, or the path of a model file.
            detector: "auto", "haar" or "yunet"; see `mien.reading.detectors.make_detector`.
            largest: Read only the largest face of each frame.
            threads: Threads that the expression model may use.

        Raises:
            ModelError: No such model.
            DetectorError: No such detector.
        """
        self.classifier = Classifier(model, threads=threads)
        self.detector = make_detector(detector)
        self._largest = largest

    def read(self, source: str | Path | NDArray[np.uint8], *, rgb: bool = False) -> list[FaceReading]:
        """Return every face of a photo, a clip or an array, frame by frame, largest first; none is [].

        Args:
            source: A path, or an image (H, W, 3) uint8, or (H, W) uint8 grey.
            rgb: The array's channels are red, green, blue; otherwise blue, green, red, as OpenCV has them.

        Raises:
            InputError: The file cannot be read, or the array is no image.
        """
        return [face for reading in self.stream(source, rgb=rgb) for face in reading.faces]

    def stream(self, source: str | Path | NDArray[np.uint8], *, rgb: bool = False) -> Iterator[FrameReading]:
        """Yield a FrameReading for each frame, also for those without faces; takes what `read` takes.

        A clip that is damaged gives a warning after the frames that could be read.
        """
        if isinstance(source, np.ndarray):
            yield self.read_frame(Frame(_as_bgr(source, rgb=rgb)))
            return
        try:
            for frame in frames(Path(source)):
                yield self.read_frame(frame)
        except DamagedClip as damage:
            warnings.warn(str(damage), stacklevel=2)

    def read_frame(self, frame: Frame) -> FrameReading:
        """Return the faces of one frame."""
        detections = sorted(self.detector.find(frame.image_bgr), key=_area, reverse=True)
        if self._largest:
            detections = detections[:1]
        spec = self.classifier.card.input
        faces_u8 = [crop_face(frame.image_bgr, detection.crop_xywh_px, spec) for detection in detections]
        probabilities = self.classifier.probabilities(np.array(faces_u8, np.uint8))
        return FrameReading(
            source=frame.source,
            frame=frame.index,
            time_s=frame.time_s,
            faces=tuple(
                self._face_reading(frame, number, detection, row)
                for number, (detection, row) in enumerate(zip(detections, probabilities, strict=True))
            ),
        )

    def read_into(
        self,
        sinks: Sequence[Sink],
        files: Sequence[Path],
        *,
        on_frame: Callable[[FrameReading], None] = lambda reading: None,
    ) -> ReadSummary:
        """Read files one after another into sinks.

        One broken file among several is noted in the summary, and the others are read. What could be read of a
        damaged clip is kept.

        Args:
            sinks: Where readings go.
            files: Photos and clips.
            on_frame: Told of each frame, for a progress bar.

        Raises:
            InputError: The only file cannot be read.
        """
        summary = ReadSummary()
        for file in files:
            try:
                for frame in frames(file):
                    reading = self.read_frame(frame)
                    for sink in sinks:
                        sink.write(frame, reading)
                    summary.frames += 1
                    summary.faces += len(reading.faces)
                    on_frame(reading)
                summary.files += 1
            except InputError as error:
                if len(files) == 1 and not isinstance(error, DamagedClip):
                    raise
                summary.failures.append(str(error))
        return summary

    def _face_reading(
        self, frame: Frame, number: int, detection: Detection, probabilities: NDArray[np.float32]
    ) -> FaceReading:
        card = self.classifier.card
        x, y, w, h = (round(value) for value in detection.box_xywh_px)
        return FaceReading(
            source=frame.source,
            frame=frame.index,
            time_s=frame.time_s,
            face=number,
            box_xywh_px=(x, y, w, h),
            detection_score=detection.score,
            labels=card.labels,
            probabilities=tuple(probabilities.tolist()),
            unsure_below=card.calibration.unsure_below if card.calibration else 0.0,
        )


def _area(detection: Detection) -> float:
    return detection.box_xywh_px[2] * detection.box_xywh_px[3]


def _as_bgr(image: NDArray[np.uint8], *, rgb: bool) -> NDArray[np.uint8]:
    if (
        image.dtype != np.uint8
        or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3))
        or 0 in image.shape
    ):
        raise InputError(
            f"An image must be uint8 of shape (height, width, 3) or (height, width); got {image.dtype} {image.shape}."
        )
    if image.ndim == 2:
        return np.repeat(image[:, :, None], 3, axis=2)
    return np.ascontiguousarray(image[:, :, ::-1]) if rgb else image
