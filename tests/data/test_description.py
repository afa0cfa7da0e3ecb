from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.data.contact_sheet import GAP_PX, NAME_PX, TILE_PX, write_contact_sheet
from mien.data.description import describe
from mien.data.faceset import FaceSet, make_faceset, open_faceset
from mien.errors import OutputError
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


def test_each_row_of_the_contact_sheet_shows_faces_of_its_class(faceset: FaceSet, tmp_path: Path) -> None:
    write_contact_sheet(faceset, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as opened:
        sheet = np.asarray(opened.convert("L"), float)
    step = TILE_PX + GAP_PX
    for row in range(7):
        top, left = GAP_PX + row * step, NAME_PX + 3 * step
        tile = Image.fromarray(sheet[top : top + TILE_PX, left : left + TILE_PX].astype(np.uint8)).resize((48, 48))
        distance = np.abs(faceset.faces_u8.astype(int) - np.asarray(tile, int)).mean((1, 2))
        assert faceset.labels[distance.argmin()] == row


def test_a_contact_sheet_is_a_png(faceset: FaceSet, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"must end in \.png"):
        write_contact_sheet(faceset, tmp_path / "sheet.txt")
