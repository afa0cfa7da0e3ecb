"""What each condition does to a face, shown on one that is nobody's secret, so that any report may carry it."""

from collections.abc import Collection
from dataclasses import dataclass
from importlib.resources import files

import cv2
import numpy as np

from mien.evaluation.report.gallery import picture
from mien.evaluation.stress import CONDITIONS, SEED
from mien.preprocess import InputSpec, crop_face

# NASA's portrait of Eileen Collins, in the public domain; comes with scikit-image. The square is that of YuNet's box.
BOX = (163.0, 56.0, 119.0, 119.0)
SPEC = InputSpec.of_crop(48, 1)  # FER2013's size and colour


@dataclass(frozen=True, slots=True)
class Sample:
    """A condition's name, what it does in words, and a face under it as a data URI."""

    name: str
    what: str
    picture: str


def samples(conditions: Collection[str]) -> tuple[Sample, ...]:
    """Return the face as it is, then under each of the named conditions; none where none is named."""
    if not conditions:
        return ()
    portrait_bgr = np.asarray(cv2.imread(str(files("skimage.data") / "astronaut.png")), np.uint8)
    face_u8 = crop_face(portrait_bgr, BOX, SPEC)[None]
    changed = [
        Sample(condition.name, condition.what, picture(condition.change(face_u8, np.random.default_rng(SEED))[0]))
        for condition in CONDITIONS
        if condition.name in conditions
    ]
    return (Sample("as it is", "", picture(face_u8[0])), *changed)
