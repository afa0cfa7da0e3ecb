"""A reading that is killed goes on with its Parquet, and comes to the same table."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mien.errors import OutputError
from mien.labels import EXPRESSIONS
from mien.reading.face_reading import FrameReading
from mien.reading.reader import Reader
from mien.reading.sinks.parquet import ParquetSink, failure_of
from mien.reading.sources import Frame
from tests.conftest import break_a_packet, write_clip


@pytest.fixture
def files(astronaut: Path, tmp_path: Path) -> list[Path]:
    """Two clips of two seconds, a face that moves, and a broken one between them."""
    portrait = np.asarray(Image.open(astronaut).convert("RGB"))
    views = [portrait[:200, 60 + 2 * number : 300 + 2 * number] for number in range(40)]
    made = [write_clip(tmp_path / f"{name}.mp4", views, range(0, 2000, 50)) for name in "ac"]
    (tmp_path / "b.mp4").write_text("broken")
    return [made[0], tmp_path / "b.mp4", made[1]]


def _read(files: list[Path], out: Path, *, resume: bool = False) -> list[str]:
    reader = Reader()
    sink = ParquetSink(out, EXPRESSIONS, settings=reader.settings(files), resume=resume)
    begun = sink.begun() if resume else None
    with sink:
        return reader.read_into([sink], files, on_failure=sink.note_failure, begun=begun).failures


KILLED = """
import os, signal, sys
from pathlib import Path
from mien.reading.reader import Reader
from mien.reading.sinks import parquet
parquet.PART_ROWS = 10
out, after, *files = sys.argv[1:]
files, left = [Path(file) for file in files], int(after)
reader = Reader()

def count(reading):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

with parquet.ParquetSink(Path(out), reader.classifier.card.labels, settings=reader.settings(files)) as sink:
    reader.read_into([sink], files, on_frame=count)
"""


@pytest.mark.parametrize("after", [25, 65])
def test_a_killed_reading_goes_on_to_the_same_table(files: list[Path], tmp_path: Path, after: int) -> None:
    out = tmp_path / "out.parquet"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(out), str(after), *map(str, files)], capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert not out.exists()
    begun = ParquetSink(out, EXPRESSIONS, settings=Reader().settings(files), resume=True).begun()
    assert begun is not None
    assert 0 < begun.rows < after, "whole parts only"
    failures = _read(files, out, resume=True)
    _read(files, tmp_path / "whole.parquet")
    resumed, whole = pq.read_table(out), pq.read_table(tmp_path / "whole.parquet")
    for column in ("source", "frame", "time_s", "face", "track", "expression"):
        assert resumed[column].to_pylist() == whole[column].to_pylist(), column
    assert np.abs(np.subtract(resumed["happy"], whole["happy"])).max() < 0.05
    assert len(failures) == 1, "the broken file is named again"
    assert not (tmp_path / ".out.parquet.parts").exists()


def test_a_wide_window_is_averaged_as_if_nothing_had_happened(files: list[Path], tmp_path: Path) -> None:
    """Half of three seconds before the first new row has to be read again."""
    tables = []
    for stop_after in (None, 30):
        out, reader = tmp_path / f"{stop_after}.parquet", Reader(smooth_s=3.0)
        seen = [0]

        def stop(reading: object, seen: list[int] = seen, after: int | None = stop_after) -> None:
            seen[0] += 1
            if seen[0] == after:
                raise KeyboardInterrupt

        sink = ParquetSink(out, EXPRESSIONS)
        with suppress(KeyboardInterrupt), sink:
            reader.read_into([sink], files[:1], on_frame=stop)
        if stop_after:
            again = ParquetSink(out, EXPRESSIONS, resume=True)
            with again:
                reader.read_into([again], files[:1], begun=again.begun())
        tables.append(pq.read_table(out))
    assert tables[0].num_rows == tables[1].num_rows == 40
    np.testing.assert_allclose(tables[0]["happy"], tables[1]["happy"], atol=1e-4)


def test_a_table_that_another_process_went_on_with_is_not_written_over(files: list[Path], tmp_path: Path) -> None:
    out, reader = tmp_path / "out.parquet", Reader()

    def stop(reading: FrameReading) -> None:
        if reading.frame == 9:
            raise KeyboardInterrupt

    first = ParquetSink(out, EXPRESSIONS, settings=reader.settings(files[:1]))
    with pytest.raises(KeyboardInterrupt), first:
        reader.read_into([first], files[:1], on_frame=stop)
    late = ParquetSink(out, EXPRESSIONS, settings=reader.settings(files[:1]), resume=True)
    assert late.begun()
    _read(files[:1], out, resume=True)
    with pytest.raises(OutputError, match="gone on with by another process; give the same command again"), late:
        pass
    assert pq.read_metadata(out).num_rows == 40


def test_what_is_stopped_while_the_parts_are_joined_is_kept(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.parquet"
    with monkeypatch.context() as patch:
        patch.setattr(pq, "read_table", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            _read(files[:1], out)
    assert not out.exists()
    begun = ParquetSink(out, EXPRESSIONS, settings=Reader().settings(files[:1]), resume=True).begun()
    assert begun is not None
    assert begun.rows == 40


def test_after_an_error_the_whole_parts_stay(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.reading.sinks.parquet.PART_ROWS", 10)
    out, left = tmp_path / "out.parquet", [25]

    def fail(reading: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise OutputError("The disk is full.")

    sink = ParquetSink(out, EXPRESSIONS)
    with pytest.raises(OutputError), sink:
        Reader().read_into([sink], files, on_frame=fail)
    begun = ParquetSink(out, EXPRESSIONS, resume=True).begun()
    assert begun is not None
    assert begun.rows == 20


def test_after_ctrl_c_all_rows_stay(files: list[Path], tmp_path: Path) -> None:
    reader, out, left = Reader(), tmp_path / "out.parquet", [30]

    def stop(reading: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    sink = ParquetSink(out, EXPRESSIONS)
    with pytest.raises(KeyboardInterrupt), sink:
        reader.read_into([sink], files, on_frame=stop)
    begun = sink.begun()
    assert begun is not None
    assert (begun.rows, begun.frame, begun.tracks) == (30, 29, 1)


def test_other_settings_cannot_go_on(files: list[Path], tmp_path: Path) -> None:
    sink = ParquetSink(tmp_path / "out.parquet", EXPRESSIONS, settings="one")
    with pytest.raises(KeyboardInterrupt), sink:
        for frame, reading in Reader().readings(frame_source(files[0])):
            sink.write(frame, reading)
        raise KeyboardInterrupt
    with pytest.raises(OutputError, match="was begun with other settings or files"):
        ParquetSink(tmp_path / "out.parquet", EXPRESSIONS, settings="another", resume=True)


def frame_source(file: Path):  # type: ignore[no-untyped-def]
    from mien.reading.sources import frames

    return frames(file)


def test_a_finished_table_is_known_as_such(files: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    assert not ParquetSink(out, EXPRESSIONS, settings="x", resume=True).finished
    with ParquetSink(out, EXPRESSIONS, settings="x") as sink:
        Reader().read_into([sink], files[:1])
    assert ParquetSink(out, EXPRESSIONS, settings="x", resume=True).finished
    before = out.read_bytes()
    with pytest.raises(OutputError, match=r"of other settings or files, and --resume would write over it"):
        ParquetSink(out, EXPRESSIONS, settings="y", resume=True)
    assert out.read_bytes() == before


def test_a_file_of_another_size_is_another_file(files: list[Path]) -> None:
    reader = Reader()
    before = reader.settings(files)
    assert reader.settings(files) == before
    files[0].write_bytes(files[0].read_bytes() + b"more")
    assert reader.settings(files) != before


def test_what_is_no_table_is_not_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "faces.parquet"
    path.write_text("junk")
    with pytest.raises(OutputError, match=r"faces.parquet is no Parquet table, or a broken one; delete it"):
        _ = ParquetSink(path, EXPRESSIONS, resume=True).finished
    assert path.read_text() == "junk"


def test_what_was_damaged_before_the_stop_is_not_forgotten(files: list[Path], tmp_path: Path) -> None:
    """A broken file is tried again and said again, a damaged clip is there already; each is said once."""
    break_a_packet(files[0])
    reader, out = Reader(), tmp_path / "out.parquet"

    def stop(reading: FrameReading) -> None:
        if reading.source == str(files[2]) and reading.frame == 9:
            raise KeyboardInterrupt

    sink = ParquetSink(out, EXPRESSIONS, settings=reader.settings(files))
    with pytest.raises(KeyboardInterrupt), sink:
        reader.read_into([sink], files, on_frame=stop, on_failure=sink.note_failure)
    failures = _read(files, out, resume=True)
    assert [Path(sentence.split()[0]).name for sentence in failures] == ["a.mp4", "b.mp4"]
    assert failure_of(out).splitlines() == failures


def test_ctrl_c_in_the_middle_of_a_frame_costs_that_frame_and_no_half_of_it(tmp_path: Path) -> None:
    class Interrupted(FrameReading):
        def as_rows(self) -> Iterator[dict[str, Any]]:
            yield {"source": "a.mp4", "frame": 1, "time_s": 0.1}
            raise KeyboardInterrupt

    out, frame = tmp_path / "out.parquet", Frame(np.zeros((8, 8, 3), np.uint8))
    sink = ParquetSink(out, EXPRESSIONS)
    with pytest.raises(KeyboardInterrupt), sink:
        sink.write(frame, FrameReading("a.mp4", 0, 0.0, ()))
        sink.write(frame, Interrupted("a.mp4", 1, 0.1, ()))
    begun = sink.begun()
    assert begun is not None
    assert (begun.rows, begun.frame) == (1, 0)
