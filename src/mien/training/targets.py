"""What the network is to answer for each training face: labels, votes and teachers' answers, as distributions.

In: the training faces, and what teachers answered for them.  Out: (N, K) shares, each row summing to 1.
"""

import numpy as np
from numpy.typing import NDArray

from mien.data.faceset import FaceSet
from mien.data.votes import vote_distribution
from mien.errors import DataError
from mien.training.recipe import TargetsSection


def make_targets(
    faces: FaceSet, recipe: TargetsSection, answers: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Return the target of each face, (N, K).

    Args:
        faces: The training faces.
        recipe: Which share of the target comes from where; what is left after votes and teachers is the label's.
        answers: (N, K) probabilities by teachers that have not seen the face, if there are any.

    Raises:
        DataError: The recipe asks for votes, and the faces have none.
    """
    classes = len(faces.label_names)
    if recipe.kind == "labels":
        own = np.eye(classes, dtype=np.float32)[faces.labels]
    else:
        own = vote_distribution(faces)
    vote_share, teacher_share = recipe.vote_share, recipe.teacher_share if answers is not None else 0.0
    targets = (1 - vote_share - teacher_share) * own
    if vote_share:
        targets += vote_share * label_given_votes(faces)
    if answers is not None:
        targets += teacher_share * answers
    return targets.astype(np.float32)


def label_given_votes(faces: FaceSet) -> NDArray[np.float32]:
    """Return p(label | votes), (N, K): a logistic regression from the shares of the votes, fitted on these faces.

    Raises:
        DataError: The faces have no votes.
    """
    from sklearn.linear_model import LogisticRegression  # takes a second to import

    classes = len(faces.label_names)
    shares = vote_shares(faces)
    model = LogisticRegression(max_iter=1000).fit(shares, faces.labels)
    probabilities = np.zeros((len(faces), classes), np.float32)
    probabilities[:, model.classes_] = model.predict_proba(shares)
    return probabilities


def vote_shares(faces: FaceSet) -> NDArray[np.float32]:
    """Return each kind of vote's share of a face's votes, (N, len(vote_names)); equal shares where nobody voted.

    Raises:
        DataError: The faces have no votes.
    """
    if faces.votes is None:
        raise DataError(
            f"The recipe learns from votes, and {faces.name} has none; FER2013 gets them by "
            "`mien data prepare … --votes CSV`."
        )
    votes = faces.votes.astype(np.float32)
    votes[votes.sum(1) == 0] = 1
    shares: NDArray[np.float32] = votes / votes.sum(1, keepdims=True)
    return shares
