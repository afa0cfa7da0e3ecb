"""What reading gives: a FaceReading for each face, a FrameReading for each frame, Faces for all faces of a source."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import MissingExtraError
from mien.labels import UNSURE
from mien.preprocess import Box

if TYPE_CHECKING:
    import pyarrow as pa

WHERE = ("source", "frame", "time_s")
FACE = ("face", "track", "x", "y", "w", "h", "detection_score", "expression", "dominant_emotion", "confidence")


@dataclass(frozen=True, slots=True)
class FaceReading:
    """One face in one frame.

    Attributes:
        source: File it was read from; "" for an array.
        frame: Number of the frame, counted from 0.
        time_s: The frame's own timestamp in seconds; None for a photo.
        face: Number of the face in its frame, counted from 0, largest first.
        box_xywh_px: Left, top, width, height in pixels of the upright image; may reach over its border.
        detection_score: The detector's own measure of sureness; comparable for one detector only.
        labels: Names of the expressions.
        probabilities: One for each label, 0-1, summing to 1.
        unsure_below: Threshold of the model's card; 0 for a model that is not calibrated.
        track: Number that the face keeps through its clip, counted from 0; None for a photo.
        face_u8: What the network saw of it, (face_px, face_px) grey or (face_px, face_px, 3) RGB; for notebooks.
    """

    source: str
    frame: int
    time_s: float | None
    face: int
    box_xywh_px: tuple[int, int, int, int]
    detection_score: float
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    unsure_below: float
    track: int | None = None
    face_u8: NDArray[np.uint8] | None = field(default=None, compare=False, repr=False)

    @property
    def dominant_emotion(self) -> str:
        """The likeliest expression."""
        return self.labels[self.probabilities.index(self.confidence)]

    @property
    def confidence(self) -> float:
        """Its probability, 0-1."""
        return max(self.probabilities)

    @property
    def expression(self) -> str:
        """The likeliest expression, or "unsure" if its probability is below the model's threshold."""
        return self.dominant_emotion if self.confidence >= self.unsure_below else UNSURE

    def as_dict(self) -> dict[str, Any]:
        """Return box, emotions, dominant_emotion and confidence, in the form users of `fer` and `deepface` know."""
        return {
            "box": list(self.box_xywh_px),
            "emotions": dict(zip(self.labels, self.probabilities, strict=True)),
            "dominant_emotion": self.dominant_emotion,
            "confidence": self.confidence,
        }

    def as_row(self) -> dict[str, Any]:
        """Return one value a column: where it is, what it shows, the probability of each expression."""
        shows = (self.detection_score, self.expression, self.dominant_emotion, self.confidence)
        where = {"source": self.source, "frame": self.frame, "time_s": self.time_s}
        return (
            where
            | dict(zip(FACE, (self.face, self.track, *self.box_xywh_px, *shows), strict=True))
            | dict(zip(self.labels, self.probabilities, strict=True))
        )

    def _repr_html_(self) -> str:
        from mien.reading.notebook import face_strip

        return face_strip([self])


@dataclass(frozen=True, slots=True)
class FrameReading:
    """One frame, with the faces found in it; a frame without faces is still a frame.

    Attributes:
        source: File it was read from; "" for an array.
        frame: Number of the frame, counted from 0.
        time_s: The frame's own timestamp in seconds; None for a photo.
        faces: Largest first; empty if there is none.
        hidden_xywh_px: Boxes of what may be a face and was not read: candidates the detector was not sure of or the
            face check refused, and faces that were there a moment ago. `--blur` covers these too.
    """

    source: str
    frame: int
    time_s: float | None
    faces: tuple[FaceReading, ...]
    hidden_xywh_px: tuple[Box, ...] = ()

    def as_rows(self) -> Iterator[dict[str, Any]]:
        """Yield a row for each face; a frame without faces gives one with `source`, `frame` and `time_s` alone."""
        for face in self.faces:
            yield face.as_row()
        if not self.faces:
            yield {"source": self.source, "frame": self.frame, "time_s": self.time_s}


def columns_of(labels: Sequence[str]) -> "pa.Schema":
    """Return the columns of a table of faces: their names and types, whatever its first rows hold."""
    import pyarrow as pa

    kinds = {"source": pa.string(), "frame": pa.int64(), "time_s": pa.float64()}
    kinds |= {name: pa.int32() for name in FACE[:6]}
    kinds |= {"detection_score": pa.float32(), "expression": pa.string(), "dominant_emotion": pa.string()}
    return pa.schema(kinds | {name: pa.float32() for name in ("confidence", *labels)})


class Faces(list[FaceReading]):
    """All faces of a photo or a clip: a list that shows itself in a notebook and turns into a table."""

    def to_frame(self) -> Any:
        """Return a pandas.DataFrame with a row a face; typed loosely, since pandas is optional.

        Without a face it has no rows, and no columns of expressions.

        Raises:
            MissingExtraError: pandas is not installed, or pyarrow.
        """
        try:
            import pyarrow as pa

            columns = columns_of(self[0].labels if self else ())
            return pa.Table.from_pylist([face.as_row() for face in self], schema=columns).to_pandas()
        except ModuleNotFoundError as error:
            raise MissingExtraError("pandas", error.name) from error

    def _repr_html_(self) -> str:
        from mien.reading.notebook import face_strip

        return face_strip(self)
