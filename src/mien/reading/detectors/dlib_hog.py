"""dlib's HOG detector (King 2009): an extra; five sliding windows over gradients, no model file of its own."""

import cv2
import dlib
import numpy as np
from numpy.typing import NDArray

from mien.reading.detectors import SMALLEST, Detection, longest_side, shrunk, square

LONGEST_SIDE_PX = 1024  # larger pictures are searched at this size: time grows with the area
THRESHOLD = 0.0  # dlib's own
CANDIDATE_THRESHOLD = -0.3

# FER2013's crop around the box that dlib gives on it: the box is .78 of the crop, or .94 in a quarter of the faces (its
# pyramid knows little between; .82 serves both), and .057 of the crop below its centre (1,142 PublicTest faces).
CROP_SCALE = 1 / 0.82
CROP_SHIFT_Y = -0.07


class DlibDetector:
    """Frontal and slightly turned faces of 80 pixels or more."""

    name = "dlib"

    def __init__(self) -> None:
        self._detector = dlib.get_frontal_face_detector()

    def find(self, image_bgr: NDArray[np.uint8], *, smallest: float = SMALLEST) -> list[Detection]:
        """Return the faces in an image; the score is the distance from the detector's margin."""
        longest = 2 * longest_side(LONGEST_SIDE_PX // 2, smallest)  # twice what others need
        grey, scale = shrunk(np.asarray(cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY), np.uint8), longest)
        boxes, scores, _ = self._detector.run(grey, 0, CANDIDATE_THRESHOLD)
        found = []
        for box, score in zip(boxes, scores, strict=True):
            x, y, side = box.left() / scale, box.top() / scale, box.width() / scale
            crop = square(x + side / 2, y + side / 2 + CROP_SHIFT_Y * side, CROP_SCALE * side)
            found.append(Detection((x, y, side, side), crop, float(score), sure=score > THRESHOLD))
        return found
