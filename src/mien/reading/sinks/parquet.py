"""Readings as Apache Parquet, written in parts, so that a reading that was killed can go on where it was.

Parts lie in a hidden folder beside the table; each is whole, and ends with a whole frame. At the end they become one
file. After Ctrl-C, a kill or an error (a full disk, say) those that are whole stay, for `--resume`.
"""

import shutil
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from mien.errors import OutputError
from mien.files import check_writable, written_beside
from mien.reading.face_reading import FrameReading, columns_of
from mien.reading.resume import LAST_S, Begun
from mien.reading.sources import Frame

PART_ROWS = 4096  # rows held in memory, and lost by a kill: less than three minutes of a face at 25 frames a second
SETTINGS, FAILURE = b"mien.settings", b"mien.failure"


def settings_of(path: Path) -> str:
    """Return how the rows of a table were made; "" where it does not say."""
    return _metadata(path).get(SETTINGS, b"").decode()


def failure_of(path: Path) -> str:
    """Return what went wrong while a table's files were read, a line each; "" where nothing did."""
    return _metadata(path).get(FAILURE, b"").decode()


def _metadata(path: Path) -> dict[bytes, bytes]:
    try:
        with path.open("rb") as file:
            return pq.read_schema(file).metadata or {}
    except (pa.ArrowException, OSError) as error:
        raise OutputError(f"{path} is no Parquet table, or a broken one; delete it, or give another --out.") from error


def _table(part: Path, columns: list[str] | None = None) -> pa.Table:
    with part.open("rb") as file:  # pyarrow takes no path that is not UTF-8
        return pq.read_table(file, columns=columns)


class ParquetSink:
    """Writes a table whose columns have fixed types, whatever the first rows hold."""

    def __init__(self, path: Path, labels: tuple[str, ...], *, settings: str = "", resume: bool = False) -> None:
        """Prepare to write `path`.

        Args:
            path: The table.
            labels: Its last columns.
            settings: How its rows are made; a table goes on only with the same.
            resume: Keep the parts that are there; otherwise they are deleted.

        Raises:
            OutputError: The table, or the parts of one, that are there were made with other settings.
        """
        self._path = path
        self._parts = path.with_name(f".{path.name}.parts")
        self._lock = FileLock(self._parts / "lock", timeout=0)
        self._schema = columns_of(labels).with_metadata({SETTINGS: settings.encode()})
        self._resume = resume
        # The next part's number and rows: one tuple, so that an interrupt never finds a part written and its rows here
        # under another number, to be written twice.
        self._next: tuple[int, list[dict[str, Any]]] = (len(self._files()) if resume else 0, [])
        if resume:
            for part in self._files():
                if settings_of(part) != settings:
                    raise OutputError(
                        f"{path} was begun with other settings or files, so it cannot go on; "
                        "give the same ones, or leave out --resume to begin anew."
                    )
                for sentence in failure_of(part).splitlines():
                    self.note_failure(sentence)
            if path.is_file() and not self._files() and not self.finished:
                raise OutputError(
                    f"{path} is there, of other settings or files, and --resume would write over it; give the same "
                    "ones or another --out, or leave out --resume to read all anew."
                )

    @property
    def finished(self) -> bool:
        """Whether the table is there, whole, and made with these settings."""
        return (
            self._path.is_file()
            and not self._files()
            and _metadata(self._path).get(SETTINGS) == self._schema.metadata[SETTINGS]
        )

    def begun(self) -> Begun | None:
        """Return what the parts hold; None if there are none."""
        files = self._files()
        if not files:
            return None
        columns = ["source", "frame", "time_s", "track", *"xywh"]
        rows = pa.concat_tables(_table(part, columns) for part in files)
        last = rows.slice(rows.num_rows - 1).to_pylist()[0]
        of_last = rows.filter(pa.compute.equal(rows["source"], last["source"])).drop_columns(["source"]).to_pylist()
        seen = [row for row in of_last if row["track"] is not None]
        return Begun(
            sources=frozenset(rows["source"].unique().to_pylist()),
            source=last["source"],
            frame=last["frame"],
            time_s=last["time_s"],
            boxes=tuple(
                (row["frame"], (row["x"], row["y"], row["w"], row["h"]), row["track"])
                for row in seen
                if row["time_s"] >= last["time_s"] - LAST_S
            ),
            tracks=1 + max((row["track"] for row in seen), default=-1),
            rows=rows.num_rows,
            failures=self._failures(),
        )

    def __enter__(self) -> Self:
        """Make the folder of parts, and keep every other process from writing there.

        Raises:
            OutputError: The table cannot be written; or another process is writing it, or has since it was looked at.
        """
        check_writable(self._path)
        try:
            self._parts.mkdir(exist_ok=True)
            self._lock.acquire()
        except Timeout:
            raise OutputError(f"Another process is writing {self._path}; wait for it, or give another --out.") from None
        except NotImplementedError:
            pass  # a file system that knows no locks
        except OSError as error:
            raise OutputError(f"Cannot write {self._path}: {error.strerror or error}.") from error
        if self._resume and len(self._files()) != self._next[0]:
            self._lock.release()
            raise OutputError(f"{self._path} has been gone on with by another process; give the same command again.")
        for part in [] if self._resume else self._files():
            part.unlink()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Join the parts to one file; if the block raised, keep them, and after Ctrl-C the last rows too."""
        try:
            if self._next[1] and (error is None or isinstance(error, KeyboardInterrupt)):
                self._flush()
            if error is None:  # the join, too, may be interrupted, or fail
                self._join()
            if error is None or not self._files():
                shutil.rmtree(self._parts, ignore_errors=True)
        finally:
            self._lock.release()
        with suppress(OSError):  # where a file that is open, the lock, keeps its folder: on Windows and NFS
            self._parts.rmdir()

    def note_failure(self, sentence: str) -> None:
        """Write into the table, and into each part from now on, that a file could not be read, or only in part."""
        sentences = "\n".join(dict.fromkeys([*self._failures(), sentence]))
        self._schema = self._schema.with_metadata(self._schema.metadata | {FAILURE: sentences.encode()})

    def _failures(self) -> tuple[str, ...]:
        return tuple(self._schema.metadata.get(FAILURE, b"").decode().splitlines())

    def write(self, frame: Frame, reading: FrameReading) -> None:
        """Keep the frame's rows; write them out now and then."""
        rows = self._next[1]
        rows += list(reading.as_rows())  # the whole frame at once, whenever Ctrl-C comes
        if len(rows) >= PART_ROWS:
            self._flush()

    def _flush(self) -> None:
        number, rows = self._next
        with written_beside(self._parts / f"{number:06d}.parquet") as beside, beside.open("wb") as file:
            pq.write_table(pa.Table.from_pylist(rows, schema=self._schema), file)
        self._next = (number + 1, [])

    def _join(self) -> None:
        with (
            written_beside(self._path) as beside,
            beside.open("wb") as file,
            pq.ParquetWriter(file, self._schema) as writer,
        ):
            for part in self._files():
                writer.write_table(_table(part))

    def _files(self) -> list[Path]:
        return sorted(self._parts.glob("[0-9]*.parquet"))
