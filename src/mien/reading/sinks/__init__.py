"""Where readings go: tables and pictures behind one Protocol.

A sink is a context manager. Each file that it writes stands beside its final name until it is whole; the one under
way is deleted if the block raises. Nothing half-written is left.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from mien.errors import OutputError
from mien.reading.face_reading import FrameReading
from mien.reading.sources import Frame


class Sink(AbstractContextManager["Sink", None], Protocol):
    """Takes each frame with its reading, in order."""

    def write(self, frame: Frame, reading: FrameReading) -> None:
        """Take one frame."""


def check_apart(folder: Path, sources: Sequence[Path]) -> None:
    """Raise OutputError if a file that is read lies in the folder: it might be overwritten, or read again next time."""
    for source in sources:
        if source.resolve().is_relative_to(folder.resolve()):
            raise OutputError(f"Cannot write into {folder}: {source}, which is read, lies in it; give another folder.")
