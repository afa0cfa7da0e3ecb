"""What the voters of FER+ saw -> labels by majority, or a distribution over the classes.

In: a FaceSet with votes.  Out: arrays, one row a face.
Source: Barsoum et al. 2016, "Training deep networks for facial expression recognition with crowd-sourced label
distribution", sections 3 and 4, and the code its authors released.
"""

import numpy as np
from numpy.typing import NDArray

from mien.data.faceset import FaceSet
from mien.errors import DataError
from mien.labels import expression_named

NO_MAJORITY = -1


def vote_distribution(faces: FaceSet) -> NDArray[np.float32]:
    """Return the share of the votes that each class of a set got.

    A class that a single voter named counts as a slip and gets nothing. Votes for what is no class of the set
    ("unknown", "not a face", contempt among seven classes) are left out. Where nothing remains the voters say nothing,
    and every class gets the same share: 231 of FER2013's 35,887 faces, and none that `majority` keeps.

    The authors' code also cuts a distribution after three quarters of the votes or three classes; this does not.

    Returns:
        (N, classes) float32; element i, j is class j's share for face i, rows sum to 1.

    Raises:
        DataError: The set has no votes.
    """
    counts = _without_slips(faces)
    columns = [expression_named(name) for name in faces.vote_names]
    names = faces.label_names
    of_classes = np.stack(
        [counts[:, columns.index(name)] if name in columns else np.zeros(len(faces), int) for name in names], axis=1
    )  # (N, votes) -> (N, classes)
    total = of_classes.sum(1, keepdims=True)
    return np.where(total > 0, of_classes / np.maximum(total, 1), 1 / len(names)).astype(np.float32)


def majority(faces: FaceSet) -> NDArray[np.int8]:
    """Return the column of `vote_names` that has more than half of each face's votes, or NO_MAJORITY.

    Single votes are slips here too, and votes for "unknown" and "not a face" count in the total. Over FER+'s eight
    expressions this leaves 25,060 faces of Training, 3,199 of PublicTest and 3,153 of PrivateTest.

    Returns:
        (N,) int8.

    Raises:
        DataError: The set has no votes.
    """
    counts = _without_slips(faces)
    clear = 2 * counts.max(1) > counts.sum(1)
    return np.where(clear, counts.argmax(1), NO_MAJORITY).astype(np.int8)


def _without_slips(faces: FaceSet) -> NDArray[np.int64]:
    """Return the (N, votes) counts, single votes set to zero."""
    if faces.votes is None:
        raise DataError(f"{faces.name} has no votes; prepare it again with --votes fer2013new.csv.")
    return np.where(faces.votes > 1, faces.votes, 0).astype(np.int64)
