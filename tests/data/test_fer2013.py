import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mien.data.faceset import open_faceset
from mien.data.fer2013 import read_fer2013
from mien.errors import DataError, LabelError
from tests.conftest import fer2013_rows, write_votes

Write = Callable[..., Path]


def test_faces_labels_and_splits_come_back_as_written(write_fer2013: Write) -> None:
    rows = fer2013_rows()
    faces = read_fer2013(write_fer2013())
    assert len(faces) == len(rows)
    assert faces.labels.tolist() == [int(emotion) for emotion, _, _ in rows]
    assert [faces.split_names[code] for code in faces.splits] == [usage for _, _, usage in rows]
    assert " ".join(map(str, faces.faces_u8[5].ravel())) == rows[5][1]
    assert faces.label_names == ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


def test_gzip_and_zip_give_the_same_faces(write_fer2013: Write, tmp_path: Path) -> None:
    plain = write_fer2013()
    packed = tmp_path / "fer2013.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    archive = tmp_path / "challenges.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.write(plain, "fer2013/fer2013.csv")
    assert read_fer2013(plain).sha256 == read_fer2013(packed).sha256 == read_fer2013(archive).sha256


def test_columns_may_stand_in_another_order(tmp_path: Path, write_fer2013: Write) -> None:
    other = tmp_path / "icml_face_data.csv"
    other.write_text(
        "\n".join(
            ["emotion, Usage, pixels", *(f"{emotion},{usage},{pixels}" for emotion, pixels, usage in fer2013_rows())]
        )
    )
    assert read_fer2013(other).sha256 == read_fer2013(write_fer2013()).sha256


def test_votes_are_kept_in_file_order(write_fer2013: Write, tmp_path: Path) -> None:
    votes = write_votes(tmp_path / "fer2013new.csv", [usage for _, _, usage in fer2013_rows()])
    faces = read_fer2013(write_fer2013(), votes=votes)
    assert faces.votes is not None
    assert faces.votes.shape == (70, 10)
    assert faces.votes[:, faces.vote_names.index("happiness")].tolist() == [10] * 70


def _change(
    row: int, emotion: str | None = None, pixels: Callable[[str], str] = str, usage: str | None = None
) -> object:
    def change(rows: list[tuple[str, str, str]]) -> None:
        old = rows[row]
        rows[row] = (emotion or old[0], pixels(old[1]), usage or old[2])

    return change


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        (
            _change(15, pixels=lambda text: text.rpartition(" ")[0]),
            DataError,
            r":17: 2,303 pixels; wanted 48 x 48 = 2,304",
        ),
        (_change(2, emotion="9"), LabelError, r":4: emotion '9' is not 0-6"),
        (_change(2, pixels=lambda text: "x" + text), DataError, r":4: the pixels are not all whole numbers"),
        (_change(2, pixels=lambda text: "256 " + text.partition(" ")[2]), DataError, r":4: a pixel outside 0-255"),
        (_change(2, pixels=lambda text: "9" * 30 + text[2:]), DataError, r":4: a pixel outside 0-255"),
        (_change(2, pixels=lambda text: text + " x 7"), DataError, r":4: the pixels are not all whole numbers"),
        (_change(2, pixels=lambda text: text.replace(" ", ".5 ", 1)), DataError, r":4: the pixels are not all whole"),
        (_change(2, pixels=lambda text: '"' + text), DataError, "is not a CSV file|columns, and the header"),
        (_change(2, usage="Test"), DataError, r":4: Usage 'Test' is none of Training"),
        (lambda rows: rows.clear(), DataError, "no faces"),
    ],
)
def test_a_broken_row_is_named_by_its_line(
    write_fer2013: Write, change: Callable[..., object], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        read_fer2013(write_fer2013(change))


def test_a_missing_column_is_named(write_fer2013: Write) -> None:
    with pytest.raises(DataError, match="has no column pixels"):
        read_fer2013(write_fer2013(header="emotion,pixel,Usage"))


def test_a_tar_archive_says_how_to_unpack_it(tmp_path: Path) -> None:
    path = tmp_path / "fer2013.tar.gz"
    path.write_bytes(gzip.compress(b"fer2013/"))
    with pytest.raises(DataError, match="is a tar archive; unpack it"):
        read_fer2013(path)


def test_missing_votes_are_said_before_the_faces_are_read(write_fer2013: Write, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="give the path of fer2013new.csv"):
        read_fer2013(write_fer2013(), votes=tmp_path / "missing.csv", progress=lambda share: pytest.fail("read"))


@pytest.mark.parametrize("name", ["fer2013.csv.gz", "fer2013.zip"])
def test_a_file_that_is_not_the_archive_it_says(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"emotion,pixels,Usage\n")
    with pytest.raises(DataError, match="cannot be unpacked"):
        read_fer2013(path)


def test_a_truncated_gzip_is_refused(write_fer2013: Write, tmp_path: Path) -> None:
    whole = gzip.compress(write_fer2013().read_bytes())
    path = tmp_path / "fer2013.csv.gz"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cannot be unpacked"):
        read_fer2013(path)


def test_votes_for_other_faces_are_refused(write_fer2013: Write, tmp_path: Path) -> None:
    votes = write_votes(tmp_path / "fer2013new.csv", ["Training"] * 69)
    with pytest.raises(DataError, match="the files do not match"):
        read_fer2013(write_fer2013(), votes=votes)
    votes = write_votes(tmp_path / "fer2013new.csv", [usage for _, _, usage in fer2013_rows()][:-1])
    with pytest.raises(DataError, match="votes for 69 faces, and there are 70"):
        read_fer2013(write_fer2013(), votes=votes)


def test_progress_grows_to_the_end(write_fer2013: Write) -> None:
    shares: list[float] = []
    read_fer2013(write_fer2013(lambda rows: rows.extend(rows * 20)), progress=shares.append)
    assert shares == sorted(shares)
    assert 0.5 < shares[-1] <= 1


def test_the_real_file(fer2013_folder: Path) -> None:
    """Counts as published: Goodfellow et al. 2013; the FER+ authors' file has a row for each."""
    opened = open_faceset(fer2013_folder)
    assert np.bincount(opened.splits).tolist() == [28709, 3589, 3589]
    assert np.bincount(opened.split("PublicTest").labels).tolist() == [467, 56, 496, 895, 653, 415, 607]
    assert opened.votes is not None
    assert opened.votes.shape == (35887, 10)
    assert isinstance(opened.faces_u8, np.memmap)
