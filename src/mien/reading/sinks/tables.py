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

from mien.errors import OutputError
from mien.files import written_beside
from mien.reading.face_reading import FaceReading, FrameReading
from mien.reading.sources import Frame

PARQUET_ROWS = 4096  # rows held in memory before a row group is written
WHERE = ("source", "frame", "time_s")
FACE = ("face", "x", "y", "w", "h", "detection_score", "expression", "dominant_emotion", "confidence")


class TableSink(ABC):
    """Base of the sinks that write a row a face a frame to one file."""

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
        self._writer.writerows(flat_rows(reading))


class ParquetSink(TableSink):
    """Apache Parquet; columns have fixed types, whatever the first rows hold."""

    def _open(self, beside: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        kinds = {"source": pa.string(), "frame": pa.int64(), "time_s": pa.float64(), "face": pa.int32()}
        kinds |= {name: pa.int32() for name in "xywh"}
        kinds |= {"detection_score": pa.float32(), "expression": pa.string(), "dominant_emotion": pa.string()}
        kinds |= {name: pa.float32() for name in ("confidence", *self._labels)}
        self._schema = pa.schema(kinds.items())
        self._rows: list[dict[str, Any]] = []
        self._writer = pq.ParquetWriter(beside, self._schema)
        self._stack.callback(self._writer.close)
        self._stack.callback(self._flush)

    def write(self, frame: Frame, reading: FrameReading) -> None:
        """Keep the frame's rows; write them out now and then."""
        self._rows += flat_rows(reading)
        if len(self._rows) >= PARQUET_ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows = []


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


TABLES: dict[str, Callable[[Path, tuple[str, ...]], TableSink]] = {
    ".csv": CsvSink,
    ".jsonl": JsonLinesSink,
    ".parquet": ParquetSink,
}


def table_sink(path: Path, labels: tuple[str, ...]) -> TableSink:
    """Return the sink for a file, chosen by its suffix.

    Raises:
        OutputError: The suffix is none of .csv, .parquet and .jsonl.
    """
    if path.suffix.lower() not in TABLES:
        raise OutputError(f"Cannot write {path}: its name must end in one of {', '.join(TABLES)}.")
    return TABLES[path.suffix.lower()](path, labels)


def flat_rows(reading: FrameReading) -> Iterator[dict[str, Any]]:
    """Yield a frame's rows with one value a column; a frame without faces gives one row."""
    where = {"source": reading.source, "frame": reading.frame, "time_s": reading.time_s}
    for face in reading.faces:
        x, y, w, h = face.box_xywh_px
        about = (face.face, x, y, w, h, face.detection_score, face.expression, face.dominant_emotion, face.confidence)
        yield (where | dict(zip(FACE, about, strict=True)) | dict(zip(face.labels, face.probabilities, strict=True)))
    if not reading.faces:
        yield where


def nested_rows(reading: FrameReading) -> Iterator[dict[str, Any]]:
    """Yield a frame's rows in the form of `as_dict`; a frame without faces gives one row of nulls."""
    where = {"source": reading.source, "frame": reading.frame, "time_s": reading.time_s}
    for face in reading.faces:
        yield where | _nested(face)
    if not reading.faces:
        nothing = ("face", "box", "emotions", "dominant_emotion", "confidence", "expression", "detection_score")
        yield where | dict.fromkeys(nothing)


def _nested(face: FaceReading) -> dict[str, Any]:
    extra = {"expression": face.expression, "detection_score": face.detection_score}
    return {"face": face.face} | face.as_dict() | extra
