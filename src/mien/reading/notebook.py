"""A strip of faces with bars, for notebooks: one self-contained piece of HTML.

In: FaceReadings.  Out: HTML; the pictures are what the network saw, as PNG inside it.
"""

import base64
import html
from collections.abc import Sequence

import cv2
import numpy as np

from mien.reading.face_reading import FaceReading
from mien.reading.sinks.drawing import COLOURS
from mien.words import whole_percent

MOST = 24  # faces shown; a clip has thousands
BAR_PX = 90


def face_strip(faces: Sequence[FaceReading]) -> str:
    """Return the HTML of the first faces, and how many more there are."""
    if not faces:
        return "<p>no face found</p>"
    more = f"<p>… and {len(faces) - MOST:,} more faces</p>" if len(faces) > MOST else ""
    cards = "".join(_card(face) for face in faces[:MOST])
    return f'<div style="display:flex;flex-wrap:wrap;gap:12px;font:12px sans-serif">{cards}</div>{more}'


def _card(face: FaceReading) -> str:
    when = "" if face.time_s is None else f" · {face.time_s:.2f} s"
    number = f"face {face.face}" if face.track is None else f"#{face.track}"
    rows = "".join(
        f'<tr><td style="padding:0 6px 0 0;text-align:left">{html.escape(label)}</td>'
        f'<td style="padding:0;text-align:left"><div style="background:#ddd;width:{BAR_PX}px;height:10px">'
        f'<div style="background:{COLOURS.get(label, "#666")};width:{BAR_PX * share:.0f}px;height:10px;'
        'box-shadow:inset 0 0 0 1px #0005"></div></div></td>'
        f'<td style="padding:0 0 0 6px;text-align:right">{html.escape(whole_percent(share))}</td></tr>'
        for label, share in zip(face.labels, face.probabilities, strict=True)
    )
    return (
        f'<div style="border:1px solid #9996;border-radius:6px;padding:8px">{_picture(face)}'
        f"<div><b>{html.escape(face.expression)}</b> · {number}{when}</div>"
        f'<table style="border-collapse:collapse;margin:4px 0 0">{rows}</table></div>'
    )


def _picture(face: FaceReading) -> str:
    if face.face_u8 is None:
        return ""
    picture = face.face_u8 if face.face_u8.ndim == 2 else np.ascontiguousarray(face.face_u8[:, :, ::-1])
    png = base64.b64encode(cv2.imencode(".png", picture)[1].tobytes()).decode()
    return f'<img src="data:image/png;base64,{png}" width="96" height="96" alt="face" style="display:block">'
