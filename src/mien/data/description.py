"""What is in a FaceSet, and what its reader should beware of: repeats, twins across splits, labels that conflict."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.data.faceset import FaceSet


@dataclass(frozen=True, slots=True)
class Description:
    """Counts over a FaceSet.

    Attributes:
        counts: Element i, j is the number of faces of class i in split j.
        repeats: For each split, faces that are pixel-identical to an earlier face of the same split.
        twins: For (split a, split b), a before b: faces of b that are pixel-identical to one of a.
        conflicting_groups: Groups of pixel-identical faces that carry more than one label.
        conflicting_faces: Faces in those groups.
    """

    counts: tuple[tuple[int, ...], ...]
    repeats: dict[str, int]
    twins: dict[tuple[str, str], int]
    conflicting_groups: int
    conflicting_faces: int


def describe(faces: FaceSet) -> Description:
    """Count a FaceSet."""
    counts = np.zeros((len(faces.label_names), len(faces.split_names)), int)
    np.add.at(counts, (faces.labels, faces.splits), 1)
    groups_of = [faces.groups[faces.splits == code] for code in range(len(faces.split_names))]
    names = faces.split_names
    conflicting = _conflicting_groups(faces.groups, faces.labels)
    return Description(
        counts=tuple(tuple(row) for row in counts.tolist()),
        repeats={name: len(groups) - len(np.unique(groups)) for name, groups in zip(names, groups_of, strict=True)},
        twins={
            (names[a], names[b]): int(np.isin(groups_of[b], groups_of[a]).sum())
            for a in range(len(names))
            for b in range(a + 1, len(names))
        },
        conflicting_groups=len(conflicting),
        conflicting_faces=int(np.isin(faces.groups, conflicting).sum()),
    )


def _conflicting_groups(groups: NDArray[np.int32], labels: NDArray[np.int8]) -> NDArray[np.int32]:
    """Return the numbers of the groups that carry more than one label."""
    pairs = np.unique(np.stack([groups, labels.astype(np.int32)], axis=1), axis=0)  # each (group, label) once
    numbers, label_counts = np.unique(pairs[:, 0], return_counts=True)
    return np.asarray(numbers[label_counts > 1], np.int32)
