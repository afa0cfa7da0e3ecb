"""Readings as tables: CSV, Parquet, JSON lines, or a JSON array on a stream.

One row a face a frame; a frame without faces keeps a row of its own, with empty face columns.
"""

import csv
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from mien.errors import MissingExtraError, OutputError
from mien.files import written_beside
from mien.reading.face_reading import FACE, WHERE, FaceReading, FrameReading
from mien.reading.sinks import Sink
from mien.reading.sources import Frame


class TableSink(ABC):
    """Base of the sinks that write a row a face a frame to one text file."""

    def __init__(self, path: Path, labels: tuple[str, ...]) -> None:
        """Prepare to write `path`; its columns end with one for each of `labels`."""
        self._path = path
        self._labels = labels
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Open the file beside its final name."""
        with self._stack:
            self._open(self._stack.enter_context(written_beside(self._path)))
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close and rename the file, or delete it if the block raised."""
        self._stack.__exit__(kind, error, trace)

    @abstractmethod
    def _open(self, beside: Path) -> None:
        """Open the file at the temporary path; enter what must be closed into the stack."""

    @abstractmethod
    def write(self, frame: Frame, reading: FrameReading) -> None:
        """Write the frame's rows."""


class CsvSink(TableSink):
    """Comma-separated values, UTF-8, with a header."""

    def _open(self, beside: Path) -> None:
        file = self._stack.enter_context(beside.open("w", newline="", encoding="utf-8"))
        self._writer = csv.DictWriter(file, [*WHERE, *FACE, *self._labels], lineterminator="\n")
        self._writer.writeheader()

    def write(self, frame: Frame, reading: FrameReading) -> None:
        """Write the frame's rows."""
        self._writer.writerows(reading.as_rows())


class JsonLinesSink(TableSink):
    """One JSON object a line, in the form of `FaceReading.as_dict`."""

    def _open(self, beside: Path) -> None:
        self._file = self._stack.enter_context(beside.open("w", encoding="utf-8"))

    def write(self, frame: Frame, reading: FrameReading) -> None:
        """Write the frame's rows."""
        self._file.writelines(json.dumps(row) + "\n" for row in nested_rows(reading))


class JsonStream:
    """One JSON array, written to a stream such as standard output as the frames come."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._separator = "\n "

    def __enter__(self) -> Self:
        """Begin the array."""
        self._stream.write("[")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the array, also after an error: what came before it is still good JSON."""
        self._stream.write("\n]\n")

    def write(self, frame: Frame, reading: FrameReading) -> None:
        """Write the frame's rows."""
        for row in nested_rows(reading):
            self._stream.write(self._separator + json.dumps(row))
            self._separator = ",\n "


TEXTS: dict[str, Callable[[Path, tuple[str, ...]], Sink]] = {".csv": CsvSink, ".jsonl": JsonLinesSink}
PARQUET = ".parquet"


def table_sink(path: Path, labels: tuple[str, ...], *, settings: str = "", resume: bool = False) -> Sink:
    """Return the sink for a file, chosen by its suffix.

    Args:
        path: The table.
        labels: Its last columns.
        settings: How its rows are made; Parquet keeps it.
        resume: Go on with a Parquet table that is unfinished.

    Raises:
        OutputError: The suffix is none of .csv, .parquet and .jsonl.
        MissingExtraError: It is .parquet, and pyarrow is not installed.
    """
    suffix = path.suffix.lower()
    if suffix == PARQUET:
        try:  # here, since reading a photo should not wait for pyarrow, nor need it
            from mien.reading.sinks.parquet import ParquetSink
        except ModuleNotFoundError as error:
            raise MissingExtraError("tables", error.name) from error
        return ParquetSink(path, labels, settings=settings, resume=resume)
    if suffix not in TEXTS:
        raise OutputError(f"Cannot write {path}: its name must end in one of {', '.join((*TEXTS, PARQUET))}.")
    return TEXTS[suffix](path, labels)


def nested_rows(reading: FrameReading) -> Iterator[dict[str, Any]]:
    """Yield a frame's rows in the form of `as_dict`; a frame without faces gives one row of nulls."""
    where = {"source": reading.source, "frame": reading.frame, "time_s": reading.time_s}
    for face in reading.faces:
        yield where | _nested(face)
    if not reading.faces:
        nothing = (
            "face",
            "track",
            "box",
            "emotions",
            "dominant_emotion",
            "confidence",
            "expression",
            "detection_score",
        )
        yield where | dict.fromkeys(nothing)


def _nested(face: FaceReading) -> dict[str, Any]:
    extra = {"expression": face.expression, "detection_score": face.detection_score}
    return {"face": face.face, "track": face.track} | face.as_dict() | extra
