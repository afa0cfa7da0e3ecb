"""What the readers of all datasets share: what can be asked of them, what they give, and how they are found.

In: a file or folder as a dataset comes.  Out: Prepared, a FaceSet and word of what did not get into it.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.faceset import FaceSet, check_new, identified
from mien.data.split import drawn
from mien.errors import DataError, LabelError, unknown_name
from mien.files import written_beside
from mien.labels import EIGHT_EXPRESSIONS, expression_named
from mien.preprocess import Box, InputSpec, crop_face

Progress = Callable[[float], None]  # called with the share of the work that is done, 0-1
CHANNELS = {"grey": 1, "rgb": 3}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a reader.

    Attributes:
        size_px: Side of the faces.
        colour: A key of CHANNELS.
        labels: The expressions to keep; all that the dataset has, if none are named.
        votes: fer2013new.csv, where the format takes votes.
        take: Keep a draw of so many faces, each class of each split in proportion; None for all.
        seed: Decides that draw.
        allow_missing: Go on where more than `pictures.MISSING_LIMIT` of the pictures are missing or broken.
        progress: Called now and then.
    """

    size_px: int = 48
    colour: str = "grey"
    labels: tuple[str, ...] = ()
    votes: Path | None = None
    take: int | None = None
    seed: int = 0
    allow_missing: bool = False
    progress: Progress = lambda share: None

    def label_names(self, known: tuple[str, ...], dataset: str) -> tuple[str, ...]:
        """Return the classes to keep of those that a dataset has, in its order.

        Raises:
            LabelError: A name that is no expression, or one that the dataset has not.
        """
        chosen = {expression_named(name) or name for name in self.labels}
        for name in chosen.difference(known):
            if name not in EIGHT_EXPRESSIONS:
                raise LabelError(unknown_name("expression", name, EIGHT_EXPRESSIONS))
            raise LabelError(f"{dataset} has no faces labelled {name}; it has {', '.join(known)}.")
        return tuple(name for name in known if name in chosen) if chosen else known

    def face(self, image_bgr: NDArray[np.uint8], box: Box | None = None) -> NDArray[np.uint8]:
        """Return a face as the set stores it: the square around `box`, or around the whole picture, scaled once."""
        height, width = image_bgr.shape[:2]
        x, y, w, h = box or (0, 0, width, height)
        side = max(w, h)
        square = (x + (w - side) / 2, y + (h - side) / 2, side, side)
        return crop_face(image_bgr, square, InputSpec.of_crop(self.size_px, CHANNELS[self.colour]))


@dataclass(frozen=True, slots=True)
class Prepared:
    """What came of reading a dataset.

    Attributes:
        faces: The faces.
        left_out: Why faces were left out on purpose -> how many.
        missing: A sentence for each picture that is missing or broken.
    """

    faces: FaceSet
    left_out: Mapping[str, int] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    def save(self, folder: Path) -> None:
        """Write the set, and beside its arrays missing.txt, the list of what is missing.

        Raises:
            DataError: The folder exists already.
        """
        check_new(folder)
        with written_beside(folder) as beside:
            self.faces.save(beside)
            if self.missing:
                # A file's name need not be UTF-8; its bytes are written as they are.
                text = "\n".join(self.missing) + "\n"
                (beside / "missing.txt").write_text(text, encoding="utf-8", errors="surrogateescape")


@dataclass(frozen=True, slots=True)
class Format:
    """A dataset's layout on disk, and how it is read.

    Attributes:
        name: What users type after --format.
        about: What it is, in a sentence or two.
        example: Paths, one a line, and below a text file some of its lines, each after "| ".
        recognises: Whether a file or folder looks like it.
        read: Reads it.
        takes_votes: Whether it can use fer2013new.csv.
    """

    name: str
    about: str
    example: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path, Wanted], Prepared]
    takes_votes: bool = False


def check_some_left(dataset: str, count: int, label_names: tuple[str, ...], left_out: Mapping[str, int]) -> None:
    """Raise DataError if no picture is left: training, drawing and counting all want one at least.

    Args:
        dataset: Its name.
        count: How many pictures are left.
        label_names: The classes that are kept.
        left_out: Why others were left out -> how many.
    """
    if count:
        return
    labelled = f"with one of the labels {', '.join(label_names)}" if label_names else "of an expression"
    found = ", ".join(f"{number:,} {why}" for why, number in left_out.items())
    raise DataError(
        f"{dataset} has no picture {labelled} ({f'left out: {found}' if found else 'it has none at all'}); check what "
        "it holds and which --labels are asked for."
    )


def adapted(faces: FaceSet, wanted: Wanted, left_out: Mapping[str, int] | None = None) -> Prepared:
    """Return a set whose faces came as arrays with the classes, the size and the colour that are wanted.

    Args:
        faces: (N, S, S) grey faces.
        wanted: What is asked for.
        left_out: What was left out before.

    Raises:
        DataError: No face is left, or fewer than are to be taken.
        LabelError: The dataset has no such class.
    """
    names = wanted.label_names(faces.label_names, faces.name)
    rows = np.flatnonzero(np.isin(faces.labels, [faces.label_names.index(name) for name in names]))
    dropped = Counter(left_out or {})
    for code, count in enumerate(np.bincount(faces.labels, minlength=len(faces.label_names))):
        if count and faces.label_names[code] not in names:
            dropped[faces.label_names[code]] += int(count)
    check_some_left(faces.name, len(rows), names, dropped)
    if wanted.take is not None:
        strata = faces.splits[rows].astype(np.int64) * len(faces.label_names) + faces.labels[rows]
        rows = rows[drawn(strata, wanted.take, np.random.default_rng(wanted.seed))]
    plain = faces.faces_u8.shape[1] == wanted.size_px and wanted.colour == "grey"
    if plain and len(rows) == len(faces) and names == faces.label_names:
        return Prepared(faces, dropped)
    kept = faces.take(rows)
    place = np.array([names.index(name) if name in names else -1 for name in faces.label_names], np.int8)
    pixels = kept.faces_u8
    if not plain:
        pixels = np.stack([wanted.face(np.repeat(face[:, :, None], 3, axis=2)) for face in pixels])
    return Prepared(identified(replace(kept, faces_u8=pixels, labels=place[kept.labels], label_names=names)), dropped)
