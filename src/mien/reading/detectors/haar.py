"""OpenCV's Haar cascades (Viola & Jones 2001): ship in OpenCV's own wheel, so they work offline on day one."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.reading.detectors import SMALLEST, Detection, longest_side, shrunk, square, without_doubles

# On a group photo of five: `alt2` and `alt` find 4 and nothing false with 3 or 4 neighbours; `default` finds 5, and a
# false one too with 3.
FRONTAL = "haarcascade_frontalface_alt2.xml"
PROFILE = "haarcascade_profileface.xml"  # faces that look to the left; the mirrored picture has the others
LONGEST_SIDE_PX = 1024  # larger pictures are searched at this size: time grows with the area
PROFILE_LONGEST_SIDE_PX = 400  # the profile cascade takes half as long again, and runs twice
# More overlapping hits than this make a face. OpenCV's default is 3; with the face check behind it, 2 finds more and
# gives one false face in 200 face-free pictures: results/reading.md.
NEIGHBOURS = 2
CANDIDATE_NEIGHBOURS = 1  # more than this make a candidate

# FER2013's crop around the box that each cascade gives on it, as shares of the box's side (1,500 PublicTest faces
# enlarged to 192 px): frontal, the box is .97 of the crop and .004 above its centre; profile, the box is .93 of
# the crop, .143 of it off the centre towards the back of the head and .029 above it (medians of 400 found).
FRONTAL_CROP, FRONTAL_SHIFT_Y = 1 / 0.97, 0.004
PROFILE_CROP, PROFILE_SHIFT_X, PROFILE_SHIFT_Y = 1 / 0.93, -0.15, 0.03


class HaarDetector:
    """Upright frontal faces; where there is none, profiles."""

    name = "haar"

    def __init__(self) -> None:
        folder = Path(cv2.__file__).parent / "data"
        self._frontal = cv2.CascadeClassifier(str(folder / FRONTAL))
        self._profile = cv2.CascadeClassifier(str(folder / PROFILE))

    def find(self, image_bgr: NDArray[np.uint8], *, smallest: float = SMALLEST) -> list[Detection]:
        """Return the faces in an image; the score is the number of overlapping hits."""
        grey = np.asarray(cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY), np.uint8)
        longest = longest_side(LONGEST_SIDE_PX, smallest)
        found = without_doubles([_frontal(*hit) for hit in _hits(self._frontal, grey, longest, smallest)])
        if any(face.sure for face in found):
            return found
        width, longest = grey.shape[1], min(longest, PROFILE_LONGEST_SIDE_PX)
        found += [_profile(*hit) for hit in _hits(self._profile, grey, longest, smallest)]
        mirrored = np.ascontiguousarray(grey[:, ::-1])
        for x, y, side, hits in _hits(self._profile, mirrored, longest, smallest):
            found.append(_profile(width - x - side, y, side, hits, mirrored=True))
        return without_doubles(found)


def _hits(
    cascade: cv2.CascadeClassifier, grey: NDArray[np.uint8], longest_px: int, smallest: float
) -> list[tuple[float, float, float, int]]:
    """Return x, y, side in pixels and the number of hits of each group that a cascade finds."""
    small, scale = shrunk(grey, longest_px)
    smallest_px = max(24, round(smallest * max(small.shape)))
    boxes, counts = cascade.detectMultiScale2(
        small, scaleFactor=1.1, minNeighbors=CANDIDATE_NEIGHBOURS, minSize=(smallest_px, smallest_px)
    )
    return [
        (float(x) / scale, float(y) / scale, float(side) / scale, int(count))
        for (x, y, side, _), count in zip(boxes, counts, strict=True)
    ]


def _frontal(x: float, y: float, side: float, hits: int) -> Detection:
    crop = square(x + side / 2, y + side / 2 + FRONTAL_SHIFT_Y * side, FRONTAL_CROP * side)
    return Detection((x, y, side, side), crop, float(hits), sure=hits > NEIGHBOURS)


def _profile(x: float, y: float, side: float, hits: int, *, mirrored: bool = False) -> Detection:
    shift_x = -PROFILE_SHIFT_X if mirrored else PROFILE_SHIFT_X
    crop = square(x + side / 2 + shift_x * side, y + side / 2 + PROFILE_SHIFT_Y * side, PROFILE_CROP * side)
    return Detection((x, y, side, side), crop, float(hits), sure=hits > NEIGHBOURS)
