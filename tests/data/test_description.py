from pathlib import Path

import numpy as np
from PIL import Image

from mien.data.contact_sheet import write_contact_sheet
from mien.data.description import describe
from mien.data.faceset import FaceSet, make_faceset, open_faceset
from tests.conftest import drawn_faces


def _set(pictures: list[int], labels: list[int], splits: list[int]) -> FaceSet:
    return make_faceset(
        name="made",
        faces_u8=drawn_faces(range(10))[pictures],
        labels=np.array(labels, np.int8),
        splits=np.array(splits, np.int8),
        votes=None,
        label_names=("a", "b"),
        split_names=("train", "test"),
        vote_names=(),
        origin=(),
    )


def test_counts_twins_and_conflicts_of_a_set_made_by_hand() -> None:
    #            picture:  0  0  1  2  0  1  3  3     0 thrice: twice in train, once in test with another label
    found = describe(_set([0, 0, 1, 2, 0, 1, 3, 3], [0, 0, 1, 1, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1, 1, 1]))
    assert found.counts == ((2, 2), (2, 2))
    assert found.repeats == {"train": 1, "test": 1}
    assert found.twins == {("train", "test"): 2}
    assert (found.conflicting_groups, found.conflicting_faces) == (1, 3)


def test_the_known_twins_of_the_real_file(fer2013_folder: Path) -> None:
    """Numbers found independently of this code: 280 and 288 twins of Training, 57 groups with two labels."""
    found = describe(open_faceset(fer2013_folder))
    assert found.twins["Training", "PublicTest"] == 280
    assert found.twins["Training", "PrivateTest"] == 288
    assert found.conflicting_groups == 57


def test_the_contact_sheet_shows_faces_of_each_class(faceset: FaceSet, tmp_path: Path) -> None:
    write_contact_sheet(faceset, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        rows = np.asarray(sheet.convert("L"), float)[:, 115:]
    height = rows.shape[0] // 7
    for row in range(7):
        assert rows[row * height + 10 : (row + 1) * height - 10].std() > 30, "a row without pictures"
