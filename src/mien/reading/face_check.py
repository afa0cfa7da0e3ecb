"""Is what a detector found a face at all? A network of a few kilobytes, asked before anything is reported.

In: detections.  Out: the same, those refused no longer sure. Trained and measured by `benchmarks/face_check.py`.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.classifier import open_session
from mien.preprocess import InputSpec, crop_face
from mien.reading.detectors import SMALLEST, Detection, FaceDetector

MODEL = Path(__file__).with_name("face_check.onnx")
SPEC = InputSpec.of_crop(48, 1)  # the network normalises by itself


class FaceCheck:
    """Tells faces from what is none."""

    def __init__(self) -> None:
        self._session = open_session(MODEL, threads=1)
        self._threshold = float(self._session.get_modelmeta().custom_metadata_map["threshold"])

    def passes(self, faces_u8: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return for each of (N, 48, 48) uint8 crops whether it is taken for a face, (N,)."""
        if len(faces_u8) == 0:
            return np.empty(0, np.bool_)
        scores = self._session.run(None, {"faces": faces_u8[:, None].astype(np.float32)})[0]
        return np.asarray(scores[:, 0] >= self._threshold, np.bool_)


class Checked:
    """A detector whose every find is checked."""

    def __init__(self, detector: FaceDetector) -> None:
        self.name = detector.name
        self._detector = detector
        self._check = FaceCheck()

    def find(self, image_bgr: NDArray[np.uint8], *, smallest: float = SMALLEST) -> list[Detection]:
        """Return what the detector finds; what the check refuses is not sure."""
        found = self._detector.find(image_bgr, smallest=smallest)
        passes = self._check.passes(looks(image_bgr, found))
        return [face if passed else replace(face, sure=False) for face, passed in zip(found, passes, strict=True)]


def looks(image_bgr: NDArray[np.uint8], found: Sequence[Detection]) -> NDArray[np.uint8]:
    """Return the crops that the check looks at, (N, 48, 48) uint8."""
    crops = [crop_face(image_bgr, face.crop_xywh_px, SPEC, tilt_deg=face.tilt_deg) for face in found]
    return np.array(crops, np.uint8).reshape(-1, SPEC.face_px, SPEC.face_px)
