"""Face detectors behind one Protocol, by name.

In: a BGR image.  Out: a box around each face, and the square that a network should look at.
"""

import importlib.util
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import DetectorError, MissingExtraError, install_command, unknown_name
from mien.preprocess import Box
from mien.weights import PINNED, at_hand, fetch


@dataclass(frozen=True, slots=True)
class Detection:
    """A face, or what may be one, that a detector found.

    Attributes:
        box_xywh_px: The detector's own box.
        crop_xywh_px: The square that shows as much of the face as FER2013's pictures do.
        score: The detector's own measure of sureness.
        tilt_deg: How far the head leans, clockwise as one looks at the picture; 0 where the detector cannot tell.
        sure: False for a candidate below the detector's threshold, or refused by the face check: it is not reported,
            but it keeps a known face's track alive, and it is blurred where faces are.
    """

    box_xywh_px: Box
    crop_xywh_px: Box
    score: float
    tilt_deg: float = 0.0
    sure: bool = True


# Faces below this share of a picture's longer side are not looked for.
SMALLEST = 0.03


class FaceDetector(Protocol):
    """Finds faces."""

    name: str

    def find(self, image_bgr: NDArray[np.uint8], *, smallest: float = SMALLEST) -> list[Detection]:
        """Return the faces in an image, in any order, unsure ones among them; none is an empty list.

        Args:
            image_bgr: (H, W, 3) uint8.
            smallest: Faces below this share of the picture's longer side need not be found.
        """


class OneAtATime:
    """A detector for several threads: OpenCV's and dlib's break when two ask at once."""

    def __init__(self, detector: FaceDetector) -> None:
        self.name = detector.name
        self._detector = detector
        self._lock = threading.Lock()

    def find(self, image_bgr: NDArray[np.uint8], *, smallest: float = SMALLEST) -> list[Detection]:
        """Return what the detector finds, once no other thread asks it."""
        with self._lock:
            return self._detector.find(image_bgr, smallest=smallest)


@dataclass(frozen=True, slots=True)
class DetectorEntry:
    """What is known of a detector without opening it.

    Attributes:
        open: Opens it; `offline` forbids a download.
        at_hand: Whether it can be opened on this machine without a download or an installation.
        get: How to get it where it is not at hand.
        size: What comes with it.
        licence: Licence of its model.
        finds: What it is good at, in a few words.
    """

    open: Callable[[bool], FaceDetector]
    at_hand: Callable[[], bool]
    get: str
    size: str
    licence: str
    finds: str


def _haar(offline: bool) -> FaceDetector:
    from mien.reading.detectors.haar import HaarDetector
    from mien.reading.face_check import Checked

    return Checked(HaarDetector())


def _yunet(offline: bool) -> FaceDetector:
    from mien.reading.detectors.yunet import YuNetDetector

    return YuNetDetector(fetch("yunet", offline=offline))


def _dlib(offline: bool) -> FaceDetector:
    try:
        from mien.reading.detectors.dlib_hog import DlibDetector
    except ModuleNotFoundError as error:
        raise MissingExtraError("dlib", error.name) from error
    from mien.reading.face_check import Checked

    return Checked(DlibDetector())


DETECTORS: dict[str, DetectorEntry] = {
    "haar": DetectorEntry(
        open=_haar,
        at_hand=lambda: True,
        get="comes with OpenCV",
        size="with OpenCV",
        licence="Intel (BSD-like)",
        finds="frontal, profile",
    ),
    "yunet": DetectorEntry(
        open=_yunet,
        at_hand=lambda: at_hand("yunet") is not None,
        get="mien weights fetch yunet",
        size=f"{PINNED['yunet'].size_bytes // 1000} kB",
        licence=PINNED["yunet"].licence,
        finds="small, tilted, covered",
    ),
    "dlib": DetectorEntry(
        open=_dlib,
        at_hand=lambda: importlib.util.find_spec("dlib") is not None,
        get=install_command("dlib"),
        size="with dlib",
        licence="BSL-1.0",
        finds="frontal, 80 px or more",
    ),
}
AUTO = "auto"

MOST_OVERLAP = 0.3  # of two faces, intersection over union; OpenCV's own for YuNet
SMALLEST_FACE_PX = 40  # a face of so many pixels is found by every detector here but dlib's, which wants 80


def make_detector(name: str = AUTO, *, offline: bool = False) -> FaceDetector:
    """Return a detector.

    Args:
        name: "haar" (works with nothing else), "yunet" (finds more; its model is downloaded if it is not at
            hand, and that is said), "dlib" (an extra), or "auto": YuNet if its model is at hand, else Haar.
        offline: Never download.

    Raises:
        DetectorError: There is none of that name.
        WeightsError: The download failed, or is forbidden.
        MissingExtraError: dlib is not installed.
    """
    if name == AUTO:
        name = "yunet" if at_hand("yunet") else "haar"
    if name not in DETECTORS:
        raise DetectorError(unknown_name("detector", name, (AUTO, *DETECTORS)))
    return DETECTORS[name].open(offline)


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


def longest_side(most_px: int, smallest: float) -> int:
    """Return the size at which to search: where only large faces are looked for, a small picture will do."""
    return min(most_px, round(SMALLEST_FACE_PX / smallest))


def square(centre_x: float, centre_y: float, side: float) -> Box:
    """Return the square box of that centre and side."""
    return (centre_x - side / 2, centre_y - side / 2, side, side)


def overlap(a: Box, b: Box) -> float:
    """Return the intersection of two boxes over their union, 0-1."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared) if shared else 0.0


def without_doubles(detections: list[Detection]) -> list[Detection]:
    """Return the detections without those that overlap a better one by more than MOST_OVERLAP; sure ones are better."""
    kept: list[Detection] = []
    for found in sorted(detections, key=lambda found: (found.sure, found.score), reverse=True):
        if all(overlap(found.box_xywh_px, other.box_xywh_px) <= MOST_OVERLAP for other in kept):
            kept.append(found)
    return kept
