"""What reading gives: a FaceReading for each face, a FrameReading for each frame."""

from dataclasses import dataclass
from typing import Any

from mien.labels import UNSURE


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


@dataclass(frozen=True, slots=True)
class FrameReading:
    """One frame, with the faces found in it; a frame without faces is still a frame.

    Attributes:
        source: File it was read from; "" for an array.
        frame: Number of the frame, counted from 0.
        time_s: The frame's own timestamp in seconds; None for a photo.
        faces: Largest first; empty if there is none.
    """

    source: str
    frame: int
    time_s: float | None
    faces: tuple[FaceReading, ...]
