"""Was a model trained on, or fitted to, the faces that it is to be judged by? By the names and hashes of their sets.

In: a model's provenance and a FaceSet.  Out: sentences that warn, if there is something to warn of.
"""

import numpy as np

from mien.data.faceset import FaceSet
from mien.data.split import undivided
from mien.evaluation.candidates import Candidate
from mien.evaluation.subsets import TRAINING
from mien.training.first_weights import data_learnt_before
from mien.words import counted

SAME_FACES = {"FER+": "FER2013"}  # with other labels
INDEPENDENT_FROM = 0.8  # groups a face: FER2013's twins alone make .95


def may_have_learnt(candidate: Candidate, faces: FaceSet, split: str) -> str | None:
    """Return a sentence if a model, or one that it started from, learnt from the faces that it is to be judged by."""
    made = candidate.provenance
    if made is None:
        return None
    learnt_from = (candidate.run.recipe.data.train,) if candidate.run else TRAINING
    learnt = [(candidate.name, made.data, made.data_sha256, learnt_from)]
    for name in data_learnt_before(made.start):
        learnt.append((f"A model that {candidate.name} started from", name, "", TRAINING))
    for who, data, data_sha256, splits in learnt:
        if _faces_of(data) != _faces_of(faces.name):
            continue
        # What an ancestor of the same divided set learnt from, nobody knows; most likely it is the very same set.
        if same_splits(data, data_sha256, faces) or (not data_sha256 and data == faces.name):
            if split in splits:
                return f"{who} learnt from {split}: its scores there say what it remembers, and no more."
        else:
            return (
                f"{candidate.name} was trained on “{data}”, and “{faces.name}” has the same faces in other splits: "
                f"those of {split} may be ones that it has learnt, and its scores too good."
            )
    return None


def same_splits(data: str, data_sha256: str, faces: FaceSet) -> bool:
    """Return whether a set of this name and hash has the same faces as another, in the same splits.

    So it is where both have the splits of their makers, in which FER+ has FER2013's faces.
    """
    if data_sha256 == faces.sha256:
        return True
    as_made = (data, faces.name) == (undivided(data), undivided(faces.name))
    return as_made and _faces_of(data) == _faces_of(faces.name)


def few_groups(faces: FaceSet) -> str | None:
    """Return a sentence if many of the faces are of the same videos or people, and so stand and fall together."""
    groups = len(np.unique(faces.groups))
    if groups > INDEPENDENT_FROM * len(faces):
        return None
    return (
        f"These {counted(len(faces), 'face')} are of {counted(groups, 'group')} (videos, people): standard errors, "
        "intervals and p take each face for a case of its own, and are too small."
    )


def _faces_of(name: str) -> str:
    """Return the name of the set that a set's faces came from."""
    source = undivided(name)
    return SAME_FACES.get(source, source)
