"""Where readings go: tables and pictures behind one Protocol.

A sink is a context manager. Each file that it writes stands beside its final name until it is whole; the one under
way is deleted if the block raises. Nothing half-written is left.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol, Self

from mien.reading.face_reading import FrameReading
from mien.reading.sources import Frame


class Sink(AbstractContextManager["Sink", None], Protocol):
    """Takes each frame with its reading, in order."""

    def write(self, frame: Frame, reading: FrameReading) -> None:
        """Take one frame."""


class Callback:
    """A sink that hands each frame with its reading to a function."""

    def __init__(self, function: Callable[[Frame, FrameReading], None]) -> None:
        """Take the function."""
        self._function = function

    def __enter__(self) -> Self:
        """Do nothing."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing."""

    def write(self, frame: Frame, reading: FrameReading) -> None:
        """Call the function."""
        self._function(frame, reading)
