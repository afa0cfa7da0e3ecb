"""YuNet (Wu, Peng & Yu 2023) in OpenCV: small, tilted and partly covered faces too. Its model is a 230 kB file."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.preprocess import Box
from mien.reading.detectors import SMALLEST, Detection, longest_side, shrunk, square

LONGEST_SIDE_PX = 640  # larger pictures are searched at this size; the net was trained around it
SMALLEST_SIDE_PX = 64  # smaller pictures get a border: up to 32 px OpenCV 4.14 answers with uninitialised memory
SCORE_THRESHOLD = 0.7
CANDIDATE_THRESHOLD = 0.3
OVERLAP_THRESHOLD = 0.3  # OpenCV's default for non-maximum suppression

# Where right and left eye and the middle of the mouth lie in a FER2013 crop, as shares of it (measured on 1,500
# PublicTest faces). Fitting a crop to them reads better than fitting it to YuNet's box: docs/decisions/0008.
LANDMARKS_IN_CROP = np.array([0.313 + 0.381j, 0.677 + 0.381j, 0.5 + 0.75j])


class YuNetDetector:
    """Faces of most poses and sizes."""

    name = "yunet"

    def __init__(self, model: Path) -> None:
        self._net = cv2.FaceDetectorYN.create(str(model), "", (320, 320), CANDIDATE_THRESHOLD, OVERLAP_THRESHOLD)

    def find(self, image_bgr: NDArray[np.uint8], *, smallest: float = SMALLEST) -> list[Detection]:
        """Return the faces in an image; the score is 0-1."""
        image_bgr, scale = shrunk(image_bgr, longest_side(LONGEST_SIDE_PX, smallest))
        below, right = (max(0, SMALLEST_SIDE_PX - side) for side in image_bgr.shape[:2])
        if below or right:
            image_bgr = np.asarray(cv2.copyMakeBorder(image_bgr, 0, below, 0, right, cv2.BORDER_REPLICATE), np.uint8)
        self._net.setInputSize((image_bgr.shape[1], image_bgr.shape[0]))
        _, rows = self._net.detect(image_bgr)  # (faces, 15): box, five landmarks, score
        return [] if rows is None else [_detection(row[:14].astype(float) / scale, float(row[14])) for row in rows]


def _detection(row: NDArray[np.float64], score: float) -> Detection:
    x, y, w, h = row[:4].tolist()
    points = row[4::2] + 1j * row[5::2]  # right eye, left eye, nose, right and left corner of the mouth
    crop, tilt_deg = _fitted(np.array([points[0], points[1], (points[3] + points[4]) / 2]))
    return Detection((x, y, w, h), crop, score, tilt_deg, sure=score >= SCORE_THRESHOLD)


def _fitted(points: NDArray[np.complex128]) -> tuple[Box, float]:
    """Return the square and the tilt that bring eyes and mouth where FER2013 has them, by least squares."""
    source, target = points - points.mean(), LANDMARKS_IN_CROP - LANDMARKS_IN_CROP.mean()
    turn = np.vdot(target, source) / np.vdot(target, target)  # crop -> picture: its length is the crop's side
    centre = points.mean() + turn * (0.5 + 0.5j - LANDMARKS_IN_CROP.mean())
    return square(float(centre.real), float(centre.imag), float(abs(turn))), float(np.degrees(np.angle(turn)))
