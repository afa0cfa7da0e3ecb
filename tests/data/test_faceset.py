from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mien.data.faceset import FaceSet, open_faceset
from mien.errors import DataError
from tests.conftest import drawn_faceset


def test_a_saved_set_opens_as_it_was(tmp_path: Path) -> None:
    faces = drawn_faceset()
    faces.save(tmp_path / "a.faceset")
    opened = open_faceset(tmp_path / "a.faceset")
    for name in ("faces_u8", "labels", "splits", "groups"):
        np.testing.assert_array_equal(getattr(opened, name), getattr(faces, name))
    assert (opened.name, opened.sha256, opened.label_names) == (faces.name, faces.sha256, faces.label_names)
    assert isinstance(opened.faces_u8, np.memmap)
    assert [path.name for path in tmp_path.iterdir()] == ["a.faceset"]


def test_a_contiguous_split_is_a_view(faceset: FaceSet) -> None:
    training = faceset.split("Training")
    assert len(training) == 140
    assert np.shares_memory(training.faces_u8, faceset.faces_u8)


def test_a_scattered_split_keeps_its_order(faceset: FaceSet) -> None:
    rows = np.array([150, 3, 160, 1])
    scattered = faceset.take(rows)
    np.testing.assert_array_equal(scattered.split("PublicTest").labels, faceset.labels[[150, 160]])


def test_identical_faces_share_a_group() -> None:
    faces = drawn_faceset()
    twice = faces.take(np.array([0, 1, 2, 1]))
    assert twice.groups[1] == twice.groups[3]
    assert len(set(faces.groups.tolist())) == len(faces)


def test_an_existing_folder_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match="exists already"):
        drawn_faceset().save(tmp_path / "a")


def test_an_unknown_split_is_named(faceset: FaceSet) -> None:
    with pytest.raises(
        DataError, match="no split 'Test'; name one of its splits \\(Training, PublicTest, PrivateTest\\)"
    ):
        faceset.split("Test")


def test_a_folder_that_is_no_faceset(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a FaceSet"):
        open_faceset(tmp_path)


@pytest.mark.parametrize("name", ["faces.npy", "labels.npy", "faceset.json"])
def test_a_broken_file_in_it(tmp_path: Path, name: str) -> None:
    drawn_faceset().save(tmp_path / "a")
    (tmp_path / "a" / name).write_bytes(b"\x00")
    with pytest.raises(DataError, match="broken FaceSet"):
        open_faceset(tmp_path / "a")


@pytest.mark.parametrize(
    ("name", "array", "sentence"),
    [
        ("labels", np.zeros(200, np.int8), "labels: 200 for 210 faces"),
        ("splits", np.zeros(211, np.int8), "splits: 211 for 210 faces"),
        ("groups", np.zeros(1, np.int32), "groups: 1 for 210 faces"),
        ("twins", np.int32(0), "twins: 1 for 210 faces"),
        ("votes", np.zeros((3, 0), np.uint8), "votes: 0 for 210 faces"),
        ("votes", np.zeros((210, 10), np.uint8), r"votes.npy has shape \(210, 10\), wanted 0 columns"),
        ("faces", np.zeros((200, 48, 48), np.uint8), "labels: 210 for 200 faces"),
        ("faces", np.zeros((210, 48, 48), np.float32), "faces.npy holds float32"),
        ("labels", np.full(210, 7, np.int8), "labels.npy holds 7 to 7, wanted 0 to 6"),
        ("labels", np.zeros(210, np.float32), "labels.npy holds float32"),
        ("splits", np.full(210, -1, np.int8), "splits.npy holds -1 to -1, wanted 0 to 2"),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_named(
    tmp_path: Path, name: str, array: np.ndarray, sentence: str
) -> None:
    drawn_faceset().save(tmp_path / "a")
    np.save(tmp_path / "a" / f"{name}.npy", array)
    with pytest.raises(DataError, match=f"a is a broken FaceSet \\({sentence}"):
        open_faceset(tmp_path / "a")


def test_attributes_of_other_faces_are_named(tmp_path: Path) -> None:
    drawn_faceset().save(tmp_path / "a")
    pq.write_table(pa.table({"sex": ["m", "f"]}), tmp_path / "a" / "attributes.parquet")
    with pytest.raises(DataError, match=r"broken FaceSet \(attribute sex: 2 for 210 faces\)"):
        open_faceset(tmp_path / "a")
