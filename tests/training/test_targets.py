from dataclasses import replace

import numpy as np
import pytest

from mien.data.faceset import FaceSet
from mien.data.votes import vote_distribution
from mien.errors import DataError
from mien.labels import FERPLUS_COLUMNS
from mien.training.recipe import TargetsSection
from mien.training.targets import label_given_votes, make_targets, vote_shares
from tests.conftest import drawn_faceset

ANGER, NEUTRAL, HAPPY = (FERPLUS_COLUMNS.index(name) for name in ("anger", "neutral", "happiness"))


def _voted(count: int = 400) -> FaceSet:
    """Half of the faces look angry to all voters and half neutral; of the angry ones three in four are labelled so."""
    votes = np.zeros((count, len(FERPLUS_COLUMNS)), np.uint8)
    votes[: count // 2, ANGER] = 10
    votes[count // 2 :, NEUTRAL] = 10
    labels = np.full(count, 6, np.int8)
    labels[: count // 2] = np.where(np.arange(count // 2) % 4 < 3, 0, 3)
    return replace(drawn_faceset(count), labels=labels, votes=votes, vote_names=FERPLUS_COLUMNS)


def test_labels_alone_are_one_hot() -> None:
    faces = drawn_faceset(14)
    np.testing.assert_array_equal(make_targets(faces, TargetsSection()), np.eye(7)[faces.labels])


def test_what_labels_follow_from_votes_is_learnt_from_the_faces_themselves() -> None:
    given = label_given_votes(_voted())
    np.testing.assert_allclose(given.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(given[0, [0, 3, 6]], [0.75, 0.25, 0], atol=0.03)
    np.testing.assert_allclose(given[-1, [0, 3, 6]], [0, 0, 1], atol=0.03)
    assert (given[:, [1, 2, 4, 5]] == 0).all(), "classes that no face has"


def test_the_target_is_shared_between_label_votes_and_teachers() -> None:
    faces = _voted()
    answers = np.full((400, 7), 1 / 7, np.float32)
    found = make_targets(faces, TargetsSection(vote_share=0.3, teacher_share=0.5), answers)
    expected = 0.2 * np.eye(7)[faces.labels] + 0.3 * label_given_votes(faces) + 0.5 / 7
    np.testing.assert_allclose(found, expected, atol=1e-6)
    without = make_targets(faces, TargetsSection(vote_share=0.3, teacher_share=0.5))
    np.testing.assert_allclose(without, 0.7 * np.eye(7)[faces.labels] + 0.3 * label_given_votes(faces), atol=1e-6)


def test_the_votes_themselves_can_be_the_target() -> None:
    faces = _voted()
    for kind in ("votes", "drawn"):
        np.testing.assert_array_equal(
            make_targets(faces, TargetsSection.model_validate({"kind": kind})), vote_distribution(faces)
        )


def test_shares_of_all_votes_and_equal_ones_where_nobody_voted() -> None:
    faces = _voted()
    assert faces.votes is not None
    faces.votes[0] = 0
    faces.votes[1, HAPPY] = 10
    shares = vote_shares(faces)
    np.testing.assert_allclose(shares[0], 0.1)
    np.testing.assert_allclose(shares[1, [ANGER, HAPPY]], 0.5)


def test_votes_that_are_not_there() -> None:
    with pytest.raises(DataError, match="has none; FER2013 gets them by `mien data prepare … --votes"):
        make_targets(drawn_faceset(14), TargetsSection(vote_share=0.5))
