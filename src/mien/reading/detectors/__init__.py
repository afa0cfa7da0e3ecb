"""Face detectors behind one Protocol, by name.

In: a BGR image.  Out: a box around each face, and the square that a network should look at.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import DetectorError, unknown_name
from mien.preprocess import Box
from mien.weights import at_hand, fetch


@dataclass(frozen=True, slots=True)
class Detection:
    """A face that a detector found.

    Attributes:
        box_xywh_px: The detector's own box.
        crop_xywh_px: The square that shows as much of the face as FER2013's pictures do.
        score: The detector's own measure of sureness.
    """

    box_xywh_px: Box
    crop_xywh_px: Box
    score: float


class FaceDetector(Protocol):
    """Finds faces."""

    name: str

    def find(self, image_bgr: NDArray[np.uint8]) -> list[Detection]:
        """Return the faces in a (H, W, 3) uint8 image, in any order; none is an empty list."""


def _haar() -> FaceDetector:
    from mien.reading.detectors.haar import HaarDetector

    return HaarDetector()


def _yunet() -> FaceDetector:
    from mien.reading.detectors.yunet import YuNetDetector

    return YuNetDetector(fetch("yunet"))


DETECTORS: dict[str, Callable[[], FaceDetector]] = {"haar": _haar, "yunet": _yunet}
AUTO = "auto"


def make_detector(name: str = AUTO) -> FaceDetector:
    """Return a detector.

    Args:
        name: "haar" (works with nothing else), "yunet" (finds more; its model is downloaded if it is not at
            hand, and that is said), or "auto": YuNet if its model is at hand, else Haar.

    Raises:
        DetectorError: There is none of that name.
        WeightsError: The download failed.
    """
    if name == AUTO:
        name = "yunet" if at_hand("yunet") else "haar"
    if name not in DETECTORS:
        raise DetectorError(unknown_name("detector", name, (AUTO, *DETECTORS)))
    return DETECTORS[name]()


def shrunk(image: NDArray[np.uint8], longest_px: int) -> tuple[NDArray[np.uint8], float]:
    """Return an image whose longer side is at most `longest_px`, and the scale that was applied, at most 1.

    The shorter side is at least one pixel, whatever the proportions.
    """
    height, width = image.shape[:2]
    scale = min(1.0, longest_px / max(height, width))
    if scale == 1:
        return image, scale
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8), scale


def square(centre_x: float, centre_y: float, side: float) -> Box:
    """Return the square box of that centre and side."""
    return (centre_x - side / 2, centre_y - side / 2, side, side)
