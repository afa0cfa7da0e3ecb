"""Photos and clips read by workers, one of which is killed: each file is there once, as a plain reading has it."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from mien.cluster.reading import DataSet
from mien.errors import ClusterError
from mien.reading.reader import Reader
from mien.reading.sinks.parquet import ParquetSink
from tests.cluster.conftest import kill_who_holds
from tests.conftest import break_a_packet, write_long_clip

pytestmark = pytest.mark.usefixtures("cluster")
Mien = Callable[..., tuple[int, str, str]]


def _rows(path: Path) -> list[dict[str, object]]:
    rows = pq.read_table(path).to_pylist()
    return sorted(rows, key=lambda row: (row["source"], row["frame"], row["face"] or 0))


@pytest.fixture
def media(astronaut: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of three photos and two clips; paths are those that a user below it would type."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "media"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        Image.open(astronaut).convert("RGB").save(folder / name)
    shutil.copy(clip, folder / "d.mp4")
    write_long_clip(folder / "e.mp4")
    return Path("media")


def test_a_killed_workers_file_is_read_again_and_none_twice(
    mien: Mien, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.cluster.reading.AT_ONCE", 3)
    write_long_clip(media / "e.mp4", seconds=20)  # long enough to be caught at it
    killed: list[int] = []
    killer = threading.Thread(target=lambda: killed.append(kill_who_holds(tmp_path / "media" / "e.mp4")))
    killer.start()
    code, out, err = mien("read", media, "--engine", "ray", "--out", "all.parquet")
    killer.join()
    assert killed, "the worker was killed while it read the clip"
    assert code == 0, err
    assert "5 of 5 files in all.parquet; read now: 408 frames" in out
    data_set = tmp_path / "all.parquet"
    assert len(list(data_set.iterdir())) == 5
    reader, files = Reader(), sorted(media.iterdir())
    with ParquetSink(tmp_path / "one.parquet", reader.classifier.card.labels) as sink:
        reader.read_into([sink], files)
    assert _rows(data_set) == _rows(tmp_path / "one.parquet")

    written = {file.name: file.stat().st_mtime_ns for file in data_set.iterdir()}
    shutil.copy(media / "a.jpg", media / "new.jpg")
    (media / "broken.jpg").write_text("no picture")
    code, out, err = mien("read", media, "--engine", "ray", "--out", "all.parquet")
    assert code == 1
    assert "6 of 7 files in all.parquet; read now: 1 frame," in out, "only what was not there is read"
    assert "broken.jpg is not a picture" in err
    assert {file.name: file.stat().st_mtime_ns for file in data_set.iterdir()}.items() >= written.items()
    code, _, err = mien("read", media, "--engine", "ray", "--out", "all.parquet", "--largest")
    assert code == 2
    assert "begun with other settings" in err


def test_a_damaged_clip_is_damaged_in_every_reading(mien: Mien, media: Path, tmp_path: Path) -> None:
    clip = media / "e.mp4"
    break_a_packet(clip)
    for again in (False, True):
        code, out, err = mien("read", media / "a.jpg", media / "d.mp4", clip, "--engine", "ray", "--out", "all.parquet")
        assert code == 1
        assert "e.mp4" in err
        assert ("read now: 0 frames" in out) == again
        assert "frames are missing there, or smeared. The others were read." in " ".join(err.split())
        assert "2 of 3 files in all.parquet" in out
    sources = {row["source"] for row in _rows(tmp_path / "all.parquet")}
    assert any(source.endswith("e.mp4") for source in sources), "what could be read of it is there"


def test_a_table_that_was_begun_without_a_cluster_is_no_part_of_it(media: Path, tmp_path: Path) -> None:
    """Nor does a reading without a cluster delete what one had read."""
    reader = Reader()
    local = ParquetSink(tmp_path / "all.parquet", reader.classifier.card.labels, settings=reader.settings([]))
    with pytest.raises(KeyboardInterrupt), local:
        reader.read_into([local], [media / "a.jpg"])
        raise KeyboardInterrupt
    data_set = DataSet(tmp_path / "all.parquet")
    data_set.begin()
    shutil.copy(next((tmp_path / ".all.parquet.parts").iterdir()), data_set.part(media / "a.jpg"))
    with local:
        assert data_set.part(media / "a.jpg").is_file()
    (tmp_path / "all.parquet").unlink()
    data_set.finish()
    assert [file.name for file in (tmp_path / "all.parquet").iterdir()] == [data_set.part(media / "a.jpg").name]


def test_a_file_that_was_replaced_since_is_read_again(mien: Mien, media: Path, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(media / "b.jpg")
    for faces in (0, 1):
        assert mien("read", media / "b.jpg", "--engine", "ray", "--out", "all.parquet")[0] == 0
        assert sum(row["face"] is not None for row in _rows(tmp_path / "all.parquet")) == faces
        shutil.copy(media / "a.jpg", media / "b.jpg")
    (media / "b.jpg").write_bytes(b"")
    code, _, err = mien("read", media / "a.jpg", media / "b.jpg", "--engine", "ray", "--out", "all.parquet")
    assert "b.jpg is empty" in err
    assert {Path(row["source"]).name for row in _rows(tmp_path / "all.parquet")} == {"a.jpg"}, "nothing of what is gone"


def test_a_data_set_has_one_kind_of_rows(mien: Mien, media: Path, tmp_path: Path) -> None:
    assert mien("read", media / "a.jpg", "--engine", "ray", "--out", "all.parquet")[0] == 0
    before = sorted((tmp_path / "all.parquet").iterdir())
    code, _, err = mien("read", media / "b.jpg", "--engine", "ray", "--out", "all.parquet", "--largest")
    assert (code, "begun with other settings" in err) == (2, True)
    assert sorted((tmp_path / "all.parquet").iterdir()) == before
    (tmp_path / "theirs.parquet").mkdir()
    pq.write_table(pq.read_table(before[0]).replace_schema_metadata(), tmp_path / "theirs.parquet" / "part-0.parquet")
    code, _, err = mien("read", media / "b.jpg", "--engine", "ray", "--out", "theirs.parquet")
    assert (code, "begun with other settings" in err) == (2, True)


def test_a_file_that_cannot_be_read_leaves_nothing(mien: Mien, media: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_text("no picture")
    code, _, err = mien("read", "broken.jpg", "--engine", "ray", "--out", "no.parquet")
    assert code == 2
    assert "broken.jpg is not a picture" in err
    assert not list(tmp_path.glob("*no.parquet*"))


def test_a_worker_that_cannot_begin_says_why(
    mien: Mien, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*arguments: object) -> None:
        raise ModuleNotFoundError("No module named 'mien'")

    monkeypatch.setattr("mien.cluster.reading._read", read)
    code, _, err = mien("read", media / "a.jpg", media / "b.jpg", "--engine", "ray", "--out", "no.parquet")
    assert code == 1
    for name in ("a.jpg", "b.jpg"):
        assert f"{name}: ModuleNotFoundError: No module named 'mien'" in " ".join(err.split())
    assert not list(tmp_path.glob("*no.parquet*"))


def test_a_cluster_that_is_not_there_leaves_nothing(
    mien: Mien, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connected(address: str) -> None:
        raise ClusterError(f"There is no Ray cluster at {address}.")

    monkeypatch.setattr("mien.cluster.reading.connected", connected)
    options = ("--engine", "ray", "--address", "10.0.0.1:6379", "--out", "no.parquet")
    code, _, err = mien("read", media, *options)
    assert (code, "There is no Ray cluster at 10.0.0.1:6379" in err) == (2, True)
    assert not list(tmp_path.glob("*no.parquet*"))
