"""Boxes and labels drawn on a picture, legible at any size.

In: an image and its faces.  Out: a copy with boxes, each in the colour of its expression.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mien.labels import UNSURE
from mien.reading.face_reading import FaceReading

# Okabe & Ito's palette, which people with any colour vision tell apart ("Color Universal Design", 2008).
COLOURS = {
    "angry": "#D55E00",
    "disgust": "#009E73",
    "fear": "#CC79A7",
    "happy": "#F0E442",
    "sad": "#0072B2",
    "surprise": "#56B4E9",
    "neutral": "#E8E8E8",
    UNSURE: "#8C8C8C",
}
DARK = frozenset({"sad", "disgust", "angry", UNSURE})  # white letters on these, black ones on the others
INK = {True: "white", False: "black"}

LINE_SHARE = 1 / 300  # of the picture's longer side
LETTER_SHARE = 1 / 45


def draw_faces(image_bgr: NDArray[np.uint8], faces: tuple[FaceReading, ...]) -> NDArray[np.uint8]:
    """Return a copy of the image, (H, W, 3) BGR, with a box and a label on each face."""
    picture = Image.fromarray(np.ascontiguousarray(image_bgr[:, :, ::-1]))
    draw = ImageDraw.Draw(picture)
    longest = max(picture.size)
    line = max(2, round(longest * LINE_SHARE))
    for face in faces:
        label_px = min(longest * LETTER_SHARE, max(longest * LETTER_SHARE / 2, face.box_xywh_px[2] / 5))
        _draw_face(draw, face, line, ImageFont.load_default(max(11, round(label_px))), picture.size)
    return np.ascontiguousarray(np.asarray(picture)[:, :, ::-1])


def _draw_face(
    draw: ImageDraw.ImageDraw,
    face: FaceReading,
    line: int,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    size: tuple[int, int],
) -> None:
    x, y, w, h = face.box_xywh_px
    colour = COLOURS.get(face.expression, COLOURS["neutral"])
    draw.rectangle((x - line, y - line, x + w + line, y + h + line), outline="black", width=1)
    draw.rectangle((x, y, x + w, y + h), outline=colour, width=line)
    text = f"{face.dominant_emotion} {face.confidence:.0%}"
    if face.expression == UNSURE:
        text = f"{UNSURE}: {text}"
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    pad = line + 1
    width, height = right - left + 2 * pad, bottom - top + 2 * pad
    # Above the box where there is room, else inside it; never beyond the picture.
    label_y = y - height if y >= height else min(max(y, 0), max(0, size[1] - round(height)))
    label_x = min(max(x, 0), max(0, size[0] - round(width)))
    draw.rectangle((label_x, label_y, label_x + width, label_y + height), fill=colour)
    draw.text((label_x + pad - left, label_y + pad - top), text, fill=INK[face.expression in DARK], font=font)
