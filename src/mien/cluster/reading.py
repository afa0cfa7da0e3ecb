"""Photos and clips read over a cluster: a file is a unit, and the rows land as one Parquet data set.

In: files.  Out: a folder with a Parquet file for each, which pyarrow, pandas, Spark and DuckDB open as one table.

While it is read the folder is hidden (.NAME.files beside it), and each file in it is whole. A file whose worker dies is
read again; one that is there is not, also when the same command is given later. At the end the folder gets its name.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from mien.cluster.connection import connected, last_line
from mien.errors import InputError, MienError, OutputError
from mien.files import as_text, check_writable
from mien.reading.reader import Reader, ReadSummary
from mien.reading.sinks.parquet import ParquetSink, failure_of, settings_of

RETRIES = 3  # of a file whose worker died
AT_ONCE = 1000  # files that Ray knows of: each that is done is looked for among all of them


@dataclass(frozen=True, slots=True)
class FileRead:
    """What became of a file: its frames and faces, or a sentence on what is wrong with it."""

    frames: int = 0
    faces: int = 0
    failure: str | None = None


class DataSet:
    """A folder that becomes a Parquet data set, a file for each source."""

    def __init__(self, path: Path) -> None:
        """Prepare to write `path`.

        Raises:
            OutputError: It cannot be written, or is there already and is a file.
        """
        if path.is_file():
            raise OutputError(f"Cannot write {path}: it is a file, and with --engine ray it becomes a folder.")
        if not path.is_dir():
            check_writable(path)
        self._path = path
        self._parts = path.with_name(f".{path.name}.files")  # and not .parts, where the parts of one table lie

    @property
    def finished(self) -> bool:
        """Whether it is there under its own name."""
        return self._path.is_dir()

    @property
    def _folder(self) -> Path:
        return self._path if self.finished else self._parts

    def begin(self) -> None:
        """Make the hidden folder, or take the one that an earlier reading left."""
        try:
            self._folder.mkdir(exist_ok=True)
        except OSError as error:
            raise OutputError(f"Cannot write {self._path}: {error.strerror or error}.") from error

    def part(self, file: Path) -> Path:
        """Return where a file's rows lie; the name follows from the file's, so that none is there twice."""
        name = hashlib.sha256(as_text(file.resolve()).encode()).hexdigest()[:16]
        return self._folder / f"{name}.parquet"

    def check_settings(self, settings: str) -> None:
        """Raise OutputError if what is there was read with other settings, or not by us; one part speaks for all."""
        part = next(self._folder.glob("[!.]*.parquet"), None)
        if part is not None and _of_any_file(settings_of(part)) != _of_any_file(settings):
            raise OutputError(f"{self._path} was begun with other settings; give the same ones, or another --out.")

    def finish(self) -> None:
        """Give the folder its name, if anything is in it."""
        if self.finished:
            return
        if any(self._parts.glob("[!.]*.parquet")):
            self._parts.replace(self._path)
        else:
            shutil.rmtree(self._parts)


def read_over_cluster(
    files: Sequence[Path],
    out: Path,
    *,
    options: Mapping[str, Any],
    address: str | None = None,
    on_file: Callable[[int], None] = lambda frames: None,
) -> ReadSummary:
    """Read files into a data set, each by a worker of its own; what is there already is left.

    Args:
        files: Photos and clips, under paths that every machine has.
        out: The data set's folder.
        options: What `Reader` is made with.
        address: Of the cluster; None for this machine alone.
        on_file: Told of each file that is there, with the number of its frames that were read now.

    Returns:
        What was read now, and what could not be; files that were there already are counted too.

    Raises:
        ClusterError: There is no cluster at the address.
        OutputError: The folder cannot be written, or was begun with other settings.
    """
    data_set, reader = DataSet(out), Reader(**options)
    wanted = {file: reader.settings([file]) for file in files}
    data_set.check_settings(reader.settings([]))
    parts = {file: data_set.part(file) for file in files}
    there = {file: part for file, part in parts.items() if part.is_file() and settings_of(part) == wanted[file]}
    open_ = [file for file in files if file not in there]  # a file that was replaced since, too
    failures = [failure for part in there.values() if (failure := failure_of(part))]
    summary = ReadSummary(files=len(there) - len(failures), failures=failures)
    for _ in there:
        on_file(0)
    if open_:
        with connected(address):
            data_set.begin()
            for file in open_:  # what is left of another file of that name is no part of this data set
                parts[file].unlink(missing_ok=True)
            # By its name: "auto" may mean another detector on another machine.
            for found in _results(open_, data_set, wanted, {**options, "detector": reader.detector.name}):
                summary.frames += found.frames
                summary.faces += found.faces
                summary.files += found.failure is None
                if found.failure is not None:
                    summary.failures.append(found.failure)
                on_file(found.frames)
    data_set.finish()
    if len(files) == 1 and summary.failures and not data_set.finished:
        raise InputError(summary.failures[0])
    return summary


def _results(
    files: Sequence[Path], data_set: DataSet, wanted: Mapping[Path, str], options: Mapping[str, Any]
) -> Iterator[FileRead]:
    """Yield what became of each file, in the order in which they are done."""
    task = ray.remote(max_retries=RETRIES, num_cpus=1)(_read)
    here = Path.cwd()
    left = iter(files)

    def begun(count: int) -> dict[Any, Path]:
        return {
            task.remote(here, file, data_set.part(file).resolve(), wanted[file], dict(options)): file
            for file in islice(left, count)
        }

    waiting = begun(AT_ONCE)
    while waiting:
        (done,), _ = ray.wait(list(waiting), num_returns=1)
        file = waiting.pop(done)
        waiting |= begun(1)
        try:
            yield ray.get(done)
        except RayTaskError as error:  # not retried: it would go wrong again
            yield FileRead(failure=f"{file}: {last_line(error)}")
        except RayError:
            yield FileRead(failure=f"{file}: its worker died {RETRIES + 1} times while reading it.")


def _read(folder: Path, file: Path, part: Path, settings: str, options: dict[str, Any]) -> FileRead:
    """Read one file in a worker, from the folder in which its name means something.

    Its rows are whole or not there; those of a damaged clip are what could be read, with a note of that.
    """
    try:
        os.chdir(folder)
    except OSError:
        return FileRead(failure=f"{file}: a worker's machine has no folder {folder}, where the command was given.")
    try:
        reader = _reader(tuple(sorted(options.items())))
        with ParquetSink(part, reader.classifier.card.labels, settings=settings) as sink:
            summary = reader.read_into([sink], [file], on_failure=sink.note_failure)
            failure = next(iter(summary.failures), None)
    except MienError as error:
        return FileRead(failure=str(error))
    return FileRead(summary.frames, summary.faces, failure)


@lru_cache(maxsize=1)
def _reader(options: tuple[tuple[str, Any], ...]) -> Reader:
    """Return the worker's reader; its models are opened once for many files."""
    return Reader(**dict(options))


def _of_any_file(settings: str) -> dict[str, Any]:
    """Return settings without the file that they are about."""
    return {key: value for key, value in json.loads(settings or "{}").items() if key != "files"}
