"""Where readings go: tables and pictures behind one Protocol.

A sink is a context manager. Each file that it writes stands beside its final name until it is whole; the one under
way is deleted if the block raises. Nothing half-written is left.
"""

from contextlib import AbstractContextManager
from typing import Protocol

from mien.reading.face_reading import FrameReading
from mien.reading.sources import Frame


class Sink(AbstractContextManager["Sink", None], Protocol):
    """Takes each frame with its reading, in order."""

    def write(self, frame: Frame, reading: FrameReading) -> None:
        """Take one frame."""
