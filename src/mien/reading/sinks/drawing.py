"""Boxes, labels and bars drawn on a picture, legible at any size; and faces made unrecognisable.

In: an image and its faces.  Out: a copy, drawn on or pixelated.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mien.labels import UNSURE
from mien.preprocess import Box
from mien.reading.detectors import overlap
from mien.reading.face_reading import FaceReading, FrameReading
from mien.words import whole_percent

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

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
PANEL, TRACK = "#202020", "#505050"  # behind the bars, and how long a bar of 100 % would be

LINE_SHARE = 1 / 300  # of the picture's longer side
LETTER_SHARE = 1 / 45
SMALLEST_LETTER_PX = 11
BARS_FACE_SHARE = 1 / 6  # of the picture's height: smaller faces get a label and no bars

# A pixelated face has so few squares across that only light and dark are left. No mosaic is proof against a network
# that was trained on mosaics (McPherson, Shokri & Shmatikov 2016, "Defeating Image Obfuscation with Deep Learning").
BLUR_SQUARES = 6
BLUR_REACH = 1.35  # of the box: chin, ears and hair are part of what one is known by


def draw_faces(image_bgr: NDArray[np.uint8], faces: tuple[FaceReading, ...]) -> NDArray[np.uint8]:
    """Return a copy of the image, (H, W, 3) BGR, with a box, a label and, where there is room, bars for each face."""
    if not faces:
        return image_bgr.copy()
    picture = Image.fromarray(np.ascontiguousarray(image_bgr[:, :, ::-1]))
    draw = ImageDraw.Draw(picture)
    longest = max(picture.size)
    line = max(2, round(longest * LINE_SHARE))
    boxes: list[Box] = [face.box_xywh_px for face in faces]
    for face in reversed(faces):  # the largest last, on top
        panel = _draw_bars(draw, face, line, [box for box in boxes if box is not face.box_xywh_px], picture.size)
        boxes += [panel] if panel else []
    labels: list[Label] = []
    for face in faces:  # the largest chooses its place first
        label_px = min(longest * LETTER_SHARE, max(longest * LETTER_SHARE / 2, face.box_xywh_px[2] / 5))
        taken = [*(box for box in boxes if box is not face.box_xywh_px), *(label.box_xywh_px for label in labels)]
        labels.append(_label(draw, face, line + 1, _font(label_px), taken, picture.size))
    for face, label in reversed(list(zip(faces, labels, strict=True))):
        _draw_face(draw, face, label, line)
    return np.ascontiguousarray(np.asarray(picture)[:, :, ::-1])


def blurred(image_bgr: NDArray[np.uint8], reading: FrameReading) -> NDArray[np.uint8]:
    """Return a copy of the image with every face pixelated, also those that were found and not read."""
    return pixelated(image_bgr, [*(face.box_xywh_px for face in reading.faces), *reading.hidden_xywh_px])


def pixelated(image_bgr: NDArray[np.uint8], boxes: Iterable[Box]) -> NDArray[np.uint8]:
    """Return a copy of the image in which what lies in the boxes, and a little around them, is a few squares each."""
    image, (height, width) = image_bgr.copy(), image_bgr.shape[:2]
    for x, y, w, h in boxes:
        left, right = (round(min(max(x + w / 2 + way * w * BLUR_REACH / 2, 0), width)) for way in (-1, 1))
        top, bottom = (round(min(max(y + h / 2 + way * h * BLUR_REACH / 2, 0), height)) for way in (-1, 1))
        if right > left and bottom > top:
            part = image[top:bottom, left:right]
            few = cv2.resize(part, (BLUR_SQUARES, BLUR_SQUARES), interpolation=cv2.INTER_AREA)
            image[top:bottom, left:right] = cv2.resize(few, part.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    return image


def _font(size_px: float) -> Font:
    return ImageFont.load_default(max(SMALLEST_LETTER_PX, round(size_px)))


@dataclass(frozen=True, slots=True)
class Label:
    """What is written at a face, and where its ground lies."""

    text: str
    font: Font
    pad_px: int
    box_xywh_px: Box


def _label(
    draw: ImageDraw.ImageDraw, face: FaceReading, pad_px: int, font: Font, taken: list[Box], size: tuple[int, int]
) -> Label:
    """Place a face's label: above its box or below it, where nothing else is; never beyond the picture."""
    text = f"{face.dominant_emotion} {whole_percent(face.confidence)}"
    if face.expression == UNSURE:
        text = f"{UNSURE}: {text}"
    if face.track is not None:
        text = f"#{face.track} {text}"
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    width, height = right - left + 2 * pad_px, bottom - top + 2 * pad_px
    x, y, w, h = face.box_xywh_px
    columns = [min(max(start, 0), max(0, size[0] - round(width))) for start in (x, x + w - round(width))]
    rows = [row for row in (y - height, y + h) if 0 <= row <= size[1] - height]
    places: list[Box] = [(column, row, width, height) for row in rows for column in columns]
    crowded = (columns[0], y - height if y >= height else min(max(y, 0), max(0, size[1] - round(height))))
    free = [place for place in places if not any(overlap(place, box) for box in taken)]
    return Label(text, font, pad_px, free[0] if free else (*crowded, width, height))


def _draw_face(draw: ImageDraw.ImageDraw, face: FaceReading, label: Label, line: int) -> None:
    x, y, w, h = face.box_xywh_px
    colour = COLOURS.get(face.expression, COLOURS["neutral"])
    rim = max(1, line // 4)  # so that the box stands out from a ground of its own colour
    draw.rectangle((x - rim, y - rim, x + w + rim, y + h + rim), outline="black", width=rim)
    draw.rectangle((x, y, x + w, y + h), outline=colour, width=line)
    label_x, label_y, width, height = label.box_xywh_px
    draw.rectangle((label_x, label_y, label_x + width, label_y + height), fill=colour)
    left, top, _, _ = draw.textbbox((0, 0), label.text, font=label.font)
    at = (label_x + label.pad_px - left, label_y + label.pad_px - top)
    draw.text(at, label.text, fill=INK[face.expression in DARK], font=label.font)


def _draw_bars(
    draw: ImageDraw.ImageDraw, face: FaceReading, line: int, others: list[Box], size: tuple[int, int]
) -> Box | None:
    """Draw a bar for each expression beside a face: right of it, else left, else not at all; return where."""
    x, y, w, h = face.box_xywh_px
    if h < size[1] * BARS_FACE_SHARE:
        return None
    font = _font(min(max(size) * LETTER_SHARE * 0.75, h / len(face.labels) * 0.8))
    ascent = draw.textbbox((0, 0), "Ag", font=font)[3]
    row, pad = round(ascent * 1.2), line + 1
    names = max(draw.textlength(label, font=font) for label in face.labels)
    bar = round(names * 0.9)
    width, height = round(names + bar + 4 * pad), row * len(face.labels) + 2 * pad
    top = min(max(y, 0), max(0, size[1] - height))
    for left in (x + w + 2 * line, x - width - 2 * line):
        if left < 0 or left + width > size[0] or height > size[1]:
            continue
        if any(overlap((left, top, width, height), box) for box in others):
            continue
        draw.rectangle((left, top, left + width, top + height), fill=PANEL)
        for number, (label, share) in enumerate(zip(face.labels, face.probabilities, strict=True)):
            middle = top + pad + row * number + row / 2
            draw.text((left + pad, middle), label, fill="white", font=font, anchor="lm")
            start = left + 2 * pad + names
            for length, colour in ((bar, TRACK), (bar * share, COLOURS.get(label, COLOURS["neutral"]))):
                if length >= 1:
                    draw.rectangle((start, middle - row * 0.3, start + length, middle + row * 0.3), fill=colour)
        return (left, top, width, height)
    return None
