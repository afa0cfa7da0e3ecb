"""What is in a FaceSet, and what its reader should beware of: repeats, twins and groups across splits, conflicts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.data.faceset import GROUP, FaceSet, numbered


@dataclass(frozen=True, slots=True)
class Description:
    """Counts over a FaceSet.

    Attributes:
        counts: Element i, j is the number of faces of class i in split j.
        repeats: For each split, faces that are pixel-identical to an earlier face of the same split.
        twins: For (split a, split b), a before b: faces of b that are pixel-identical to one of a.
        divided: For (split a, split b), a before b: faces of b whose group (a video, a person) has faces in a as well.
        conflicting_groups: Groups of pixel-identical faces that carry more than one label.
        conflicting_faces: Faces in those groups.
    """

    counts: tuple[tuple[int, ...], ...]
    repeats: dict[str, int]
    twins: dict[tuple[str, str], int]
    divided: dict[tuple[str, str], int]
    conflicting_groups: int
    conflicting_faces: int


def describe(faces: FaceSet) -> Description:
    """Count a FaceSet."""
    counts = np.zeros((len(faces.label_names), len(faces.split_names)), int)
    np.add.at(counts, (faces.labels, faces.splits), 1)
    twins_of = [faces.twins[faces.splits == code] for code in range(len(faces.split_names))]
    conflicting = _conflicting_groups(faces.twins, faces.labels)
    return Description(
        counts=tuple(tuple(row) for row in counts.tolist()),
        repeats={
            name: len(twins) - len(np.unique(twins)) for name, twins in zip(faces.split_names, twins_of, strict=True)
        },
        twins=_shared(faces, faces.twins),
        divided=_shared(faces, numbered(faces.attributes[GROUP])) if GROUP in faces.attributes else {},
        conflicting_groups=len(conflicting),
        conflicting_faces=int(np.isin(faces.twins, conflicting).sum()),
    )


def _shared(faces: FaceSet, numbers: NDArray[np.int32]) -> dict[tuple[str, str], int]:
    """Return for each two splits how many faces of the later one have a number that the earlier one has too."""
    names = faces.split_names
    numbers_of = [numbers[faces.splits == code] for code in range(len(names))]
    return {
        (names[a], names[b]): int(np.isin(numbers_of[b], numbers_of[a]).sum())
        for a in range(len(names))
        for b in range(a + 1, len(names))
    }


def _conflicting_groups(groups: NDArray[np.int32], labels: NDArray[np.int8]) -> NDArray[np.int32]:
    """Return the numbers of the groups that carry more than one label."""
    pairs = np.unique(np.stack([groups, labels.astype(np.int32)], axis=1), axis=0)  # each (group, label) once
    numbers, label_counts = np.unique(pairs[:, 0], return_counts=True)
    return np.asarray(numbers[label_counts > 1], np.int32)
