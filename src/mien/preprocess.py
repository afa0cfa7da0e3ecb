"""The ONE way from an image and a box to the network's input.

Training, evaluation, export and reading all come through here, in two steps:

    image, box   --crop_face-->       face, uint8, as a FaceSet stores it
    faces, spec  --network_input-->   float32 batch, as the network takes it
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]  # x, y, w, h in pixels of the upright image


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What a network's input looks like; part of every model card.

    Attributes:
        face_px: Side of the square face crop, as stored in a FaceSet and cut by `crop_face`.
        view_px: Side of the centred part of the crop that the network sees (its input size).
        channels: 1 for grey, 3 for RGB.
        mean: Mean of the pixels scaled to 0-1, one for each channel.
        std: Standard deviation of the same.
    """

    face_px: int
    view_px: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of_crop(cls, face_px: int, channels: int) -> "InputSpec":
        """Return one for whoever wants a crop as it is: whole, its pixels 0-1."""
        return cls(face_px, face_px, channels, (0.0,) * channels, (1.0,) * channels)


def crop_face(image_bgr: NDArray[np.uint8], box: Box, spec: InputSpec, *, tilt_deg: float = 0.0) -> NDArray[np.uint8]:
    """Cut the square that `box` describes out of an image and scale it to the network's face size.

    The part of the square that lies outside the image repeats the image's border.

    Args:
        image_bgr: (H, W, 3) uint8.
        box: A square, x, y, w, h in pixels; rounded to whole pixels where the head is not tilted.
        spec: Face size and channels wanted.
        tilt_deg: How far the head leans, clockwise as one looks at the picture; the crop shows it upright.

    Returns:
        (face_px, face_px) uint8 grey, or (face_px, face_px, 3) RGB.
    """
    if tilt_deg:
        # An upright cut that holds the tilted square, at most twice the size wanted; turned; then averaged down.
        reach = abs(math.sin(math.radians(tilt_deg))) + abs(math.cos(math.radians(tilt_deg)))
        x, y, side = box[0] + box[2] / 2, box[1] + box[2] / 2, box[2]
        cut_px, face_px = round(2 * reach * spec.face_px), 2 * spec.face_px
        cut = _upright_square(image_bgr, x - reach * side / 2, y - reach * side / 2, reach * side, cut_px, spec)
        turn = cv2.getRotationMatrix2D(((cut_px - 1) / 2, (cut_px - 1) / 2), tilt_deg, face_px * reach / cut_px)
        turn = turn + np.array([0, 0, (face_px - cut_px) / 2])
        face = cv2.warpAffine(cut, turn, (face_px, face_px), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(cv2.resize(face, (spec.face_px, spec.face_px), interpolation=cv2.INTER_AREA), np.uint8)
    return _upright_square(image_bgr, box[0], box[1], box[2], spec.face_px, spec)


def _upright_square(
    image_bgr: NDArray[np.uint8], x: float, y: float, side_px: float, size_px: int, spec: InputSpec
) -> NDArray[np.uint8]:
    """Return the square, rounded to whole pixels, in the network's colours and (size_px, size_px)."""
    height, width = image_bgr.shape[:2]
    side = max(1, round(side_px))
    left, top = round(x), round(y)
    rows, above, below = _inside(top, side, height)
    columns, before, after = _inside(left, side, width)
    face = cv2.cvtColor(image_bgr[rows, columns], cv2.COLOR_BGR2GRAY if spec.channels == 1 else cv2.COLOR_BGR2RGB)
    if above or below or before or after:
        face = cv2.copyMakeBorder(face, above, below, before, after, cv2.BORDER_REPLICATE)
    if side == size_px:
        return np.asarray(face, np.uint8)
    # Area averaging when shrinking (no aliasing); linear when enlarging, as FER2013's own small faces were.
    how = cv2.INTER_AREA if side > size_px else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(face, (size_px, size_px), interpolation=how), np.uint8)


def _inside(start: int, side: int, limit: int) -> tuple[slice, int, int]:
    """Return which pixels of start ... start + side - 1 lie in 0 ... limit - 1, and how many do not on either hand.

    Of a square that lies outside altogether, the nearest pixel is taken for inside.
    """
    first, end = min(max(start, 0), limit - 1), max(min(start + side, limit), 1)
    before = min(first - start, side - 1) if start < 0 else 0
    return slice(first, end), before, side - (end - first) - before


def network_input(faces_u8: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.float32]:
    """Turn faces into the network's input: the centred view, channels first, normalised.

    Args:
        faces_u8: (N, face_px, face_px) grey or (N, face_px, face_px, 3) RGB, uint8.
        spec: The network's input.

    Returns:
        (N, channels, view_px, view_px) float32.
    """
    view = faces_u8[:, *(centred_view(spec),) * 2]
    planes = view[:, None] if view.ndim == 3 else view.transpose(0, 3, 1, 2)
    scale, offset = normalisation(spec)
    inputs = planes.astype(np.float32, order="C")
    inputs *= scale
    inputs += offset
    return inputs


def centred_view(spec: InputSpec) -> slice:
    """Return the rows (and the columns) of a face crop that the network sees."""
    margin = (spec.face_px - spec.view_px) // 2
    return slice(margin, margin + spec.view_px)


def normalisation(spec: InputSpec) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return scale and offset, (C, 1, 1) each: input = pixel value of 0-255 * scale + offset.

    The result has zero mean and unit deviation over the faces that `spec` was measured on.
    """
    mean, std = (np.asarray(v, np.float32).reshape(-1, 1, 1) for v in (spec.mean, spec.std))
    return np.float32(1) / (np.float32(255) * std), -mean / std
