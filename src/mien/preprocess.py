"""The ONE way from an image and a box to the network's input.

Training, evaluation, export and reading all come through here, in two steps:

    image, box   --crop_face-->       face, uint8, as a FaceSet stores it
    faces, spec  --network_input-->   float32 batch, as the network takes it
"""

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


def crop_face(image_bgr: NDArray[np.uint8], box: Box, spec: InputSpec) -> NDArray[np.uint8]:
    """Cut the square that `box` describes out of an image and scale it to the network's face size.

    The part of the square that lies outside the image repeats the image's border.

    Args:
        image_bgr: (H, W, 3) uint8.
        box: A square, x, y, w, h in pixels; rounded to whole pixels.
        spec: Face size and channels wanted.

    Returns:
        (face_px, face_px) uint8 grey, or (face_px, face_px, 3) RGB.
    """
    height, width = image_bgr.shape[:2]
    side = max(1, round(box[2]))
    left, top = round(box[0]), round(box[1])
    if 0 <= left <= width - side and 0 <= top <= height - side:
        square = image_bgr[top : top + side, left : left + side]
    else:
        rows = np.arange(top, top + side).clip(0, height - 1)
        columns = np.arange(left, left + side).clip(0, width - 1)
        square = image_bgr[np.ix_(rows, columns)]
    face = cv2.cvtColor(square, cv2.COLOR_BGR2GRAY if spec.channels == 1 else cv2.COLOR_BGR2RGB)
    if side == spec.face_px:
        return np.asarray(face, np.uint8)
    # Area averaging when shrinking (no aliasing); linear when enlarging, as FER2013's own small faces were.
    how = cv2.INTER_AREA if side > spec.face_px else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(face, (spec.face_px, spec.face_px), interpolation=how), np.uint8)


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
    return np.ascontiguousarray(planes.astype(np.float32) * scale + offset)


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
