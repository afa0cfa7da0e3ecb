"""A photo taken by itself when the faces show what was waited for: "all happy for 1s".

In: live readings.  Out: JPEGs in a folder.
"""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

import cv2

from mien.errors import InputError, unknown_name
from mien.files import make_folder, written_beside
from mien.reading.face_reading import FrameReading
from mien.reading.sinks.drawing import blurred
from mien.reading.sources import Frame

RULE = re.compile(r"(all|any)\s+(\w+)\s+for\s+(\d+(?:\.\d+)?)\s*s")
JPEG_QUALITY = 95
BREAK_S = 1.0  # between two frames: the source was gone, and to open it again takes longer than this


@dataclass(slots=True)
class SnapRule:
    """When to take a photo.

    Attributes:
        everybody: Whether all faces must show it, or any one, the same all the while.
        expression: What they must show; a face that is unsure does not.
        for_s: For how many seconds.
    """

    everybody: bool
    expression: str
    for_s: float
    _since_s: dict[int | None, float] = field(default_factory=dict, repr=False)  # by track; None: all of them
    _before_s: float = field(default=-math.inf, repr=False)
    _taken: bool = field(default=False, repr=False)

    @classmethod
    def parse(cls, text: str, labels: tuple[str, ...]) -> "SnapRule":
        """Read a rule such as "all happy for 1s".

        Raises:
            InputError: It is none, or names an expression that the model does not know.
        """
        match = RULE.fullmatch(text.strip().lower())
        if match is None:
            raise InputError(
                f"{text!r} is no rule for a photo; write, for instance, 'all happy for 1s' or 'any surprise for 0.5s'."
            )
        who, expression, seconds = match.groups()
        if expression not in labels:
            raise InputError(unknown_name("expression", expression, labels))
        return cls(who == "all", expression, float(seconds))

    def update(self, reading: FrameReading) -> bool:
        """Take a reading; return whether now is the moment. It comes once, and again only after it has passed."""
        now_s = reading.time_s
        assert now_s is not None
        showing = [face.track for face in reading.faces if face.expression == self.expression]
        if self.everybody:
            showing = [None] if 0 < len(showing) == len(reading.faces) else []
        # Nobody knows what was shown while the source was gone; and joined clips may begin their times anew.
        goes_on = 0 <= now_s - self._before_s <= BREAK_S
        self._since_s = {who: self._since_s.get(who, now_s) if goes_on else now_s for who in showing}
        self._taken &= goes_on and bool(showing)
        self._before_s = now_s
        if self._taken or all(now_s - since_s < self.for_s for since_s in self._since_s.values()):
            return False
        self._taken = True
        return True


class Snaps:
    """Writes photos into a folder, numbered on from those that are there."""

    def __init__(self, folder: Path, *, blur: bool = False) -> None:
        """Make the folder.

        Raises:
            OutputError: It cannot be made.
        """
        make_folder(folder)
        self._folder = folder
        self._blur = blur

    def take(self, frame: Frame, reading: FrameReading) -> Path:
        """Write the frame as it is, or with its faces pixelated; return where."""
        number = 1
        while (path := self._folder / f"snap-{number:03d}.jpg").exists():
            number += 1
        image = blurred(frame.image_bgr, reading) if self._blur else frame.image_bgr
        jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
        with written_beside(path) as beside:
            beside.write_bytes(jpeg.tobytes())
        return path
