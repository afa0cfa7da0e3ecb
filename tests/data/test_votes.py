from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.data.faceset import FaceSet, open_faceset
from mien.data.votes import NO_MAJORITY, majority, vote_distribution
from mien.errors import DataError
from mien.labels import EIGHT_EXPRESSIONS, EXPRESSIONS, FERPLUS_COLUMNS
from tests.conftest import drawn_faceset


def _with_votes(*rows: dict[str, int], labels: tuple[str, ...] = EXPRESSIONS) -> FaceSet:
    votes = np.array([[row.get(name, 0) for name in FERPLUS_COLUMNS] for row in rows], np.uint8)
    faces = drawn_faceset().take(slice(0, len(rows)))
    return replace(faces, votes=votes, vote_names=FERPLUS_COLUMNS, label_names=labels)


def _shares(faces: FaceSet, row: int = 0) -> dict[str, float]:
    return {
        name: float(share)
        for name, share in zip(faces.label_names, vote_distribution(faces)[row], strict=True)
        if share
    }


def test_shares_follow_the_names_not_the_order() -> None:
    faces = _with_votes({"happiness": 6, "neutral": 2, "anger": 2})
    assert _shares(faces) == pytest.approx({"happy": 0.6, "neutral": 0.2, "angry": 0.2})


def test_a_single_vote_is_a_slip() -> None:
    assert _shares(_with_votes({"sadness": 6, "fear": 3, "surprise": 1})) == pytest.approx(
        {"sad": 2 / 3, "fear": 1 / 3}
    )


def test_votes_for_what_is_no_class_are_left_out() -> None:
    votes = {"disgust": 3, "contempt": 3, "unknown": 2, "NF": 2}
    assert _shares(_with_votes(votes)) == {"disgust": 1}
    assert _shares(_with_votes(votes, labels=EIGHT_EXPRESSIONS)) == pytest.approx({"disgust": 0.5, "contempt": 0.5})


def test_where_nobody_named_a_class_all_get_the_same() -> None:
    faces = _with_votes({"NF": 10}, {"happiness": 1, "sadness": 1, "unknown": 8})
    np.testing.assert_allclose(vote_distribution(faces), np.full((2, 7), 1 / 7), rtol=1e-6)


def test_a_majority_is_more_than_half_of_the_votes_that_are_no_slips() -> None:
    rows = [{"fear": 5, "surprise": 5}, {"fear": 5, "surprise": 4, "sadness": 1}, {"happiness": 3, "unknown": 7}]
    found = majority(_with_votes(*rows)).tolist()
    assert found == [NO_MAJORITY, FERPLUS_COLUMNS.index("fear"), FERPLUS_COLUMNS.index("unknown")]


def test_a_set_without_votes_says_where_they_come_from() -> None:
    for function in (vote_distribution, majority):
        with pytest.raises(DataError, match="prepare it again with --votes"):
            function(drawn_faceset())


def test_the_real_votes_leave_the_published_number_of_faces(fer2013_folder: Path) -> None:
    """3,153 test faces under the majority rule: Barsoum et al. 2016 and those who compare with them."""
    faces = open_faceset(fer2013_folder)
    kept = (majority(faces) >= 0) & (majority(faces) < len(EIGHT_EXPRESSIONS))
    assert np.bincount(faces.splits[kept]).tolist() == [25060, 3199, 3153]
    shares = vote_distribution(faces)
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-6)
    assert int((shares.max(1) < 0.15).sum()) == 231
