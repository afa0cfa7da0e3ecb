"""YuNet (Wu, Peng & Yu 2023) in OpenCV: small, tilted and partly covered faces too. Its model is a 230 kB file."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.reading.detectors import Detection, shrunk, square

LONGEST_SIDE_PX = 640  # larger pictures are searched at this size; the net was trained around it
SMALLEST_SIDE_PX = 64  # smaller pictures get a border: up to 32 px OpenCV 4.14 answers with uninitialised memory
SCORE_THRESHOLD = 0.7
OVERLAP_THRESHOLD = 0.3  # OpenCV's default for non-maximum suppression

# FER2013's crop around the box that YuNet gives on it: the box is .77 of the crop wide, 1.02 high, and .015 above
# its centre (measured on 1,500 PublicTest faces). The geometric mean of the sides holds for turned heads too.
BOX_AREA_SHARE = 0.77 * 1.02
CROP_SHIFT_Y = 0.015


class YuNetDetector:
    """Faces of most poses and sizes."""

    name = "yunet"

    def __init__(self, model: Path) -> None:
        self._net = cv2.FaceDetectorYN.create(str(model), "", (320, 320), SCORE_THRESHOLD, OVERLAP_THRESHOLD)

    def find(self, image_bgr: NDArray[np.uint8]) -> list[Detection]:
        """Return the faces in an image; the score is 0-1."""
        image_bgr, scale = shrunk(image_bgr, LONGEST_SIDE_PX)
        below, right = (max(0, SMALLEST_SIDE_PX - side) for side in image_bgr.shape[:2])
        if below or right:
            image_bgr = np.asarray(cv2.copyMakeBorder(image_bgr, 0, below, 0, right, cv2.BORDER_REPLICATE), np.uint8)
        self._net.setInputSize((image_bgr.shape[1], image_bgr.shape[0]))
        _, rows = self._net.detect(image_bgr)  # (faces, 15): box, five landmarks, score
        if rows is None:
            return []
        return [self._detection(*(row[:4] / scale).tolist(), score=float(row[14])) for row in rows]

    @staticmethod
    def _detection(x: float, y: float, w: float, h: float, *, score: float) -> Detection:
        side = (w * h / BOX_AREA_SHARE) ** 0.5
        return Detection((x, y, w, h), square(x + w / 2, y + h / 2 + CROP_SHIFT_Y * side, side), score)
