"""The same predictions on fairer faces, or against other labels: without twins of Training, and by FER+'s majority."""

import numpy as np
from numpy.typing import NDArray

from mien.data.faceset import FaceSet
from mien.data.votes import NO_MAJORITY, majority
from mien.evaluation.metrics import SubsetScore, score_subset
from mien.labels import expression_named
from mien.words import counted

TRAINING = ("Training", "train")  # what our readers call the split that models learn from


def score_subsets(called: NDArray[np.integer], faces: FaceSet, everything: FaceSet) -> tuple[SubsetScore, ...]:
    """Score a model on the parts of a split that the FaceSet allows.

    Args:
        called: (N,), index into the label names.
        faces: The split, N faces.
        everything: The FaceSet it was taken from.
    """
    truth, classes = faces.labels.astype(int), len(faces.label_names)
    found = []
    for training in [name for name in TRAINING if name in everything.split_names]:
        learnt_from = everything.splits == everything.split_names.index(training)
        lone = ~np.isin(faces.twins, everything.twins[learnt_from])
        if lone.any() and not lone.all():  # of Training itself nothing would be left
            name = f"without the {counted(int((~lone).sum()), 'face')} with a twin in {training}"
            found.append(score_subset(name, called[lone], truth[lone], classes))
    if faces.votes is not None:
        voted = majority_labels(faces)
        clear = voted != NO_MAJORITY
        if clear.any():
            name = "labels by FER+ majority"
            found.append(score_subset(name, called[clear], voted[clear], classes))
    return tuple(found)


def majority_labels(faces: FaceSet) -> NDArray[np.int8]:
    """Return (N,) labels that most voters name; NO_MAJORITY where they disagree or name no class of the set."""
    names = [expression_named(name) for name in faces.vote_names]
    label_of = [faces.label_names.index(name) if name in faces.label_names else NO_MAJORITY for name in names]
    column = majority(faces)
    return np.where(column == NO_MAJORITY, NO_MAJORITY, np.array(label_of)[column]).astype(np.int8)
