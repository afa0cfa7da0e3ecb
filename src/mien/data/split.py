"""A FaceSet -> the same faces divided anew: by group, or face by face.

In: a FaceSet, parts with their shares, a seed.  Out: a FaceSet whose splits are those parts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mien.data.faceset import FaceSet, identified
from mien.errors import DataError, unknown_name
from mien.words import counted

WAYS = ("group", "face")
MOST_PARTS = 127  # a FaceSet keeps the number of a face's split in eight bits
PRIVATE_TEST = "PrivateTest"  # of FER2013 and FER+: for reporting, never for choosing
DIVIDED = " divided anew)"  # the end of the name of such a set, so that no score on it passes for an official one


def read_parts(text: str) -> dict[str, float]:
    """Return part -> share from "train=0.8,test=0.2".

    Raises:
        DataError: The text is not like that.
    """
    pairs = [item.split("=") for item in text.split(",")]
    try:
        parts = {name.strip(): float(share) for name, share in pairs}
    except ValueError:
        parts = {}
    if len(parts) != len(pairs) or "" in parts:
        raise DataError(f"Parts are named once each, with their shares, as in train=0.8,test=0.2; got {text!r}.")
    return parts


def divide(
    faces: FaceSet,
    parts: Mapping[str, float],
    *,
    by: str = "group",
    seed: int = 0,
    only: str | None = None,
    take: int | None = None,
    keep: Sequence[str] = (),
) -> FaceSet:
    """Divide faces into parts of given shares, each class in the same proportion in every part.

    Args:
        faces: The set; its present splits are forgotten.
        parts: The share of each part, in the order they are to have; they sum to 1.
        by: `group` keeps together what must stay on one side (twins, the frames of a video, the pictures of a person),
            and comes as near to the shares of each class as whole groups allow. `face` meets them exactly and divides
            groups: scores on such parts are too good, which is what it is there to show.
        seed: Decides every draw.
        only: Divide the faces of this split alone and drop the others.
        take: First draw so many faces, each class in proportion, and drop the others.
        keep: Splits whose faces are not divided, and stay splits beside the parts.

    Raises:
        DataError: Shares that do not sum to 1, more than MOST_PARTS, a part left without faces, fewer faces than are to
            be taken, or an unknown split or way.
    """
    if by not in WAYS:
        raise DataError(unknown_name("way to divide", by, WAYS))
    if not (min(parts.values()) > 0 and abs(sum(parts.values()) - 1) < 1e-6):
        written = ",".join(f"{name}={share:g}" for name, share in parts.items())
        raise DataError(
            f"The shares of the parts must be above 0 and sum to 1, as in train=0.8,test=0.2; got {written}."
        )
    if len(parts) > MOST_PARTS:
        raise DataError(f"Wanted at most {MOST_PARTS} parts, got {len(parts)}; ask for fewer.")
    for name in (*keep, *([only] if only else [])):
        faces.split(name)  # says which there are, where it is none
    code_of = {name: code for code, name in enumerate(faces.split_names)}
    kept = [np.flatnonzero(faces.splits == code_of[name]) for name in keep]
    rows = np.setdiff1d(np.arange(len(faces)), np.concatenate([np.empty(0, np.intp), *kept]))
    if only is not None:
        rows = np.flatnonzero(faces.splits == code_of[only])
    random = np.random.default_rng(seed)
    if take is not None:
        rows = rows[drawn(faces.labels[rows], take, random)]
    chosen = faces.take(rows)
    shares = np.array(list(parts.values()))
    groups = chosen.groups if by == "group" else np.arange(len(chosen), dtype=np.int32)
    part_of = _assigned(chosen.labels, groups, shares / shares.sum(), random)
    empty = [name for code, name in enumerate(parts) if code not in part_of]
    if empty:
        raise DataError(
            f"No face is left for {', '.join(empty)}: {counted(len(chosen), 'face')} in "
            f"{counted(len(np.unique(groups)), 'group')} are too few; ask for fewer parts or larger shares."
        )
    ordered = np.argsort(part_of, kind="stable")  # so that each part lies in one piece
    made = faces.take(np.concatenate([rows[ordered], *kept]))
    codes = [np.full(len(rows), code, np.int8) for code, rows in enumerate(kept, len(parts))]
    return identified(
        replace(
            made,
            name=f"{faces.name} ({only or 'all of it'}{DIVIDED}",
            splits=np.concatenate([part_of[ordered], *codes]),
            split_names=(*parts, *keep),
        )
    )


def undivided(name: str) -> str:
    """Return the name of the set that a set was divided from; its own if it was not."""
    while name.endswith(DIVIDED):
        name = name.rpartition(" (")[0]
    return name


def is_private_test(data: str, split: str) -> bool:
    """Return whether a split is PrivateTest, or a part of a set that PrivateTest was divided into."""
    return split == PRIVATE_TEST or f"({PRIVATE_TEST}{DIVIDED}" in data


def drawn(strata: NDArray[np.integer], count: int, random: np.random.Generator) -> NDArray[np.intp]:
    """Return the rows of a draw of `count`, each stratum in proportion, in their order.

    Raises:
        DataError: There are fewer rows.
    """
    if not 0 < count <= len(strata):
        raise DataError(f"Cannot take {counted(count, 'face')} out of {len(strata):,}.")
    share = count / len(strata)
    alone = np.arange(len(strata), dtype=np.int32)
    return np.flatnonzero(_assigned(strata, alone, np.array([share, 1 - share]), random) == 0)


def _assigned(
    labels: NDArray[np.integer], groups: NDArray[np.int32], shares: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.int8]:
    """Return the part of each face, (N,) int8: whole groups first, the largest ahead, then faces that stand alone."""
    classes, label_codes = np.unique(labels, return_inverse=True)
    wanted = _whole_counts(np.bincount(label_codes, minlength=len(classes)), shares)  # (parts, classes)
    size, open_ = np.maximum(wanted, 1), wanted.copy()
    part_of = np.empty(len(labels), np.int8)
    shuffled = random.permutation(len(labels))
    _, starts, place, counts = np.unique(
        groups[shuffled], return_index=True, return_inverse=True, return_counts=True
    )  # np.unique orders groups by number; `starts` is the order in which the shuffle meets them
    members = np.split(shuffled[np.argsort(place, kind="stable")], np.cumsum(counts)[:-1])
    for group in np.lexsort((starts, -counts)):
        if counts[group] == 1:
            break
        inside = np.bincount(label_codes[members[group]], minlength=len(classes))
        # by how much each part's squared distance from what it wants would grow, class by class and in all
        growth = ((inside - 2 * open_) * inside / size).sum(1)
        growth += (counts[group] - 2 * open_.sum(1)) * counts[group] / size.sum(1)
        part = int(np.argmin(growth))
        open_[part] -= inside
        part_of[members[group]] = part
    alone = shuffled[counts[place] == 1]
    for code in range(len(classes)):
        rows = alone[label_codes[alone] == code]
        lacking = open_[:, [code]].clip(min=0)
        if len(rows) < lacking.sum():  # groups gave some part more than it wanted
            lacking = _whole_counts(np.array([len(rows)]), lacking[:, 0] / lacking.sum())
        part_of[rows] = np.repeat(np.arange(len(shares)), lacking[:, 0])
    return part_of


def _whole_counts(class_sizes: NDArray[np.integer], shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return (parts, classes) whole numbers near share times size: exact for each class, and near it for each part.

    What rounding leaves of a class goes to the parts that have come off worst so far.
    """
    counts = np.zeros((len(shares), len(class_sizes)), np.int64)
    owed = np.zeros(len(shares))
    for column, size in enumerate(class_sizes):
        fair = size * shares
        whole = np.floor(fair + 1e-9).astype(np.int64)
        owed += fair - whole
        for _ in range(int(size - whole.sum())):
            worst = int(np.argmax(owed))
            whole[worst] += 1
            owed[worst] -= 1
        counts[:, column] = whole
    return counts
