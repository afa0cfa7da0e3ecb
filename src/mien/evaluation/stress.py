"""How steady a model is: the same faces as a worse camera, a hasty detector or something in front of them shows them.

In: a batch of uint8 faces.  Out: the same batch under a condition, and what a model loses by it.
Where a condition draws, a generator starts anew at SEED and goes on from face to face, so every model sees the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.evaluation.comparison import Interval, accuracy_gain
from mien.evaluation.metrics import SubsetScore, score_subset
from mien.preprocess import Box, InputSpec, crop_face

SEED = 0
JPEG_QUALITY = 20
# Middle severity of CIFAR-10-C (Hendrycks & Dietterich 2019, make_cifar_c.py), which has pictures of 32 px.
BLUR = 0.7 / 32  # standard deviation, of the side
NOISE = 0.08  # standard deviation, of the range
TILT_DEG = 20.0
LIGHT = 0.1 ** (1 / 2.2)  # a tenth of the light, in pixel values: screens have a gamma of 2.2
JITTER = 0.15  # of the box's side
SMALL_PX = 24
LENS, CLOTH = 25, 215  # brightness of dark glasses, and of a mask
# In shares of the crop; eyes and mouth lie at (.313, .381), (.677, .381) and (.50, .75) in FER2013's crops.
LENS_CENTRES, LENS_AXES = ((0.313, 0.381), (0.677, 0.381)), (0.16, 0.11)
BRIDGE = ((0.44, 0.33), (0.56, 0.33), (0.56, 0.37), (0.44, 0.37))
MASK = (
    *((0.13, 0.56), (0.34, 0.55), (0.50, 0.50), (0.66, 0.55), (0.87, 0.56)),
    *((0.84, 0.76), (0.68, 0.95), (0.50, 1.00), (0.32, 0.95), (0.16, 0.76)),
)
FINER = 8  # covers are drawn so many times larger and averaged down, which gives them soft edges

Change = Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]
"""(N, S, S[, 3]) uint8 faces and a source of draws -> the same faces under a condition."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One way in which faces can be harder to read.

    Attributes:
        name: As figures and tables call it.
        what: What it does, in words.
        change: Does it.
    """

    name: str
    what: str
    change: Change


@dataclass(frozen=True, slots=True)
class StressScore:
    """What is left of a model's accuracy under a condition.

    Attributes:
        score: On the changed faces; its name is the condition's.
        gain: Accuracy on them less that on the same faces as they are.
    """

    score: SubsetScore
    gain: Interval


def score_stress(
    condition: Condition,
    called: NDArray[np.integer],
    called_clean: NDArray[np.integer],
    truth: NDArray[np.integer],
    *,
    classes: int,
) -> StressScore:
    """Score what (N,) faces were called under a condition beside what they were called as they are."""
    return StressScore(
        score_subset(condition.name, called, truth, classes), accuracy_gain(called_clean == truth, called == truth)
    )


def compressed(faces_u8: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return faces that were JPEG files of low quality."""
    colour = faces_u8.ndim == 4
    quality = (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY)
    how = cv2.IMREAD_COLOR if colour else cv2.IMREAD_GRAYSCALE
    files = (cv2.imencode(".jpg", face[..., ::-1] if colour else face, quality)[1] for face in faces_u8)
    read = np.stack([np.asarray(cv2.imdecode(file, how)) for file in files])
    return np.asarray(read[..., ::-1] if colour else read, np.uint8)


def blurred(faces_u8: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return faces out of focus: a Gaussian blur."""
    sigma = BLUR * faces_u8.shape[1]
    return _each(faces_u8, lambda face: cv2.GaussianBlur(face, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))


def noisy(faces_u8: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return faces with Gaussian noise on each pixel."""
    noise = random.standard_normal(faces_u8.shape, np.float32) * (255 * NOISE)
    return np.asarray((faces_u8 + noise).round().clip(0, 255), np.uint8)


def tilted(faces_u8: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return heads that lean to the left or to the right, as a crop that overlooks it has them."""
    count, side = faces_u8.shape[:2]
    tilts_deg = np.where(random.random(count) < 0.5, -TILT_DEG, TILT_DEG)
    return _cut(faces_u8, [(0.0, 0.0, side, side)] * count, tilts_deg.tolist())


def darkened(faces_u8: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return faces in a tenth of the light."""
    return np.asarray((faces_u8 * np.float32(LIGHT)).round(), np.uint8)


def jittered(faces_u8: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return faces cut by a box that lies too far to a side, up or down, and is too large or too small."""
    count, side = faces_u8.shape[:2]
    boxes: list[Box] = []
    for right, down, larger in random.uniform(-JITTER, JITTER, (count, 3)).tolist():
        cut = side * (1 + larger)
        boxes.append((side * (0.5 + right) - cut / 2, side * (0.5 + down) - cut / 2, cut, cut))
    return _cut(faces_u8, boxes, [0.0] * count)


def shrunk(faces_u8: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return faces that were small in the picture: scaled down, and up again as `crop_face` does it."""
    side = faces_u8.shape[1]
    small = (min(SMALL_PX, side),) * 2
    return _each(
        faces_u8,
        lambda face: cv2.resize(
            cv2.resize(face, small, interpolation=cv2.INTER_AREA), (side, side), interpolation=cv2.INTER_LINEAR
        ),
    )


def behind_sunglasses(faces_u8: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return faces with two dark ellipses and a bridge where the eyes usually are."""
    canvas = _canvas(faces_u8)
    for centre in LENS_CENTRES:
        place, axes = _pixels([centre, LENS_AXES], canvas).tolist()
        cv2.ellipse(canvas, place, axes, 0, 0, 360, 1.0, cv2.FILLED)
    cv2.fillPoly(canvas, [_pixels(BRIDGE, canvas)], 1.0)
    return _covered(faces_u8, canvas, LENS)


def behind_a_mask(faces_u8: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return faces with a light area from the nose to the chin."""
    canvas = _canvas(faces_u8)
    cv2.fillPoly(canvas, [_pixels(MASK, canvas)], 1.0)
    return _covered(faces_u8, canvas, CLOTH)


CONDITIONS = (
    Condition("JPEG", f"saved as a JPEG of quality {JPEG_QUALITY}", compressed),
    Condition("blur", f"Gaussian blur, {100 * BLUR:.1f} % of the side", blurred),
    Condition("noise", f"Gaussian noise, {100 * NOISE:.0f} % of the range", noisy),
    Condition("tilt", f"head leaning {TILT_DEG:.0f}° to the left or right", tilted),
    Condition("darkness", "a tenth of the light", darkened),
    Condition("box jitter", f"box moved and scaled by up to ±{100 * JITTER:.0f} % of its side", jittered),
    Condition("small face", f"scaled down to {SMALL_PX} pixels and up again", shrunk),
    Condition("sunglasses", "dark ellipses over the eyes", behind_sunglasses),
    Condition("mask", "a light cover from nose to chin", behind_a_mask),
)


def _each(faces_u8: NDArray[np.uint8], change: Callable[[NDArray[np.uint8]], NDArray[np.generic]]) -> NDArray[np.uint8]:
    return np.asarray(np.stack([change(face) for face in faces_u8]), np.uint8)


def _cut(faces_u8: NDArray[np.uint8], boxes: Sequence[Box], tilts_deg: Sequence[float]) -> NDArray[np.uint8]:
    """Cut each face anew out of its own crop, the border of which goes on, as reading cuts it out of a picture."""
    side, colour = faces_u8.shape[1], faces_u8.ndim == 4
    spec = InputSpec.of_crop(side, 3 if colour else 1)
    to_bgr = cv2.COLOR_RGB2BGR if colour else cv2.COLOR_GRAY2BGR
    pictures = (np.asarray(cv2.cvtColor(face, to_bgr), np.uint8) for face in faces_u8)
    return np.stack(
        [
            crop_face(picture, box, spec, tilt_deg=tilt_deg)
            for picture, box, tilt_deg in zip(pictures, boxes, tilts_deg, strict=True)
        ]
    )


def _canvas(faces_u8: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.zeros((FINER * faces_u8.shape[1],) * 2, np.float32)


def _pixels(shares: Sequence[tuple[float, float]], canvas: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return points, or lengths, of the canvas for shares of the crop."""
    return (np.array(shares) * len(canvas)).round().astype(np.int32)


def _covered(faces_u8: NDArray[np.uint8], canvas: NDArray[np.float32], level: int) -> NDArray[np.uint8]:
    """Return faces behind what is 1 on the canvas, in a grey of that level."""
    side = faces_u8.shape[1]
    cover = np.asarray(cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA))
    cover = cover[..., None] if faces_u8.ndim == 4 else cover
    return np.asarray((faces_u8 * (1 - cover) + level * cover).round(), np.uint8)
