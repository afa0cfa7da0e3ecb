"""A list of picture files -> FaceSet: the one way in which every dataset of pictures is read.

In: a Listing, made by a format's own module.  Out: Prepared.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.faceset import GROUP, make_faceset
from mien.data.preparation import CHANNELS, Prepared, Wanted, check_some_left
from mien.data.split import drawn
from mien.errors import DataError, InputError
from mien.photos import read_photo
from mien.preprocess import Box
from mien.words import counted

MISSING_LIMIT = 0.01  # the largest share of missing or broken pictures that passes without a word from the user
SPLITS_LIMIT = 20  # more "splits" than this are another column taken for one
LONGEST = 8  # sides, of a picture without a box
LEAST_INSIDE = 0.25  # of a box's width and of its height; a detector's box may stick out, but not that far
SHOWN = 3
ORDER = ("train", "val", "test")  # how splits' names begin, and in which order people expect them


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture and what is known of it.

    Attributes:
        path: The file.
        label: An expression of `labels.EIGHT_EXPRESSIONS`, or a word of `labels.NO_EXPRESSION`.
        split: Name of its split.
        group: Video, person or the like that it comes from; "" where it stands alone.
        box_xywh_px: Where the face is; None if the picture is a face already.
        attributes: What else is known.
    """

    path: Path
    label: str
    split: str
    group: str = ""
    box_xywh_px: Box | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a dataset says it has, before any picture is opened.

    Attributes:
        name: Name of the dataset.
        pictures: All of them.
        label_names: The classes of the dataset.
        split_names: Its splits.
        origin: Names of the files and folders this was made from.
        left_out: Why pictures are not in the list -> how many.
    """

    name: str
    pictures: list[Picture]
    label_names: tuple[str, ...]
    split_names: tuple[str, ...]
    origin: tuple[str, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)


def split_rank(split: str) -> int:
    """Return the place of a split: what is learnt from comes first, since twins and groups are counted against it."""
    return next((place for place, start in enumerate(ORDER) if split.lower().startswith(start)), len(ORDER))


def read_pictures(listing: Listing, wanted: Wanted) -> Prepared:
    """Read the pictures of a listing, in the order of its splits.

    Each is turned upright, cut to the square around its face (around the whole picture, where no box is given, its
    border going on where the picture is not square) and scaled once: by area averaging down, linearly up.

    Raises:
        DataError: No picture is left, there are too many splits, or more than MISSING_LIMIT of the pictures are missing
            or broken and this was not allowed.
        LabelError: The dataset has no such class.
    """
    if len(listing.split_names) > SPLITS_LIMIT:
        raise DataError(
            f"{listing.name} names {len(listing.split_names)} splits ({', '.join(listing.split_names[:SHOWN])}, …); "
            f"wanted at most {SPLITS_LIMIT}, as in train, test."
        )
    left_out = Counter(listing.left_out)
    if not listing.label_names:
        left_out.update(picture.label for picture in listing.pictures)
        check_some_left(listing.name, 0, (), left_out)
    names = wanted.label_names(listing.label_names, listing.name)
    left_out.update(picture.label for picture in listing.pictures if picture.label not in names)
    chosen = [picture for picture in listing.pictures if picture.label in names]
    check_some_left(listing.name, len(chosen), names, left_out)
    if wanted.take is not None:
        strata = np.array([_code(listing.split_names, p.split) * len(names) + names.index(p.label) for p in chosen])
        chosen = [chosen[row] for row in drawn(strata, wanted.take, np.random.default_rng(wanted.seed))]
    chosen.sort(key=lambda picture: _code(listing.split_names, picture.split))
    faces_u8, pictures, missing = _read(chosen, wanted)
    if not pictures or (len(missing) > MISSING_LIMIT * len(chosen) and not wanted.allow_missing):
        what_now = "; mend that, or go on without them by --allow-missing" if pictures else "; check where they lie"
        raise DataError(
            f"Missing or broken: {len(missing):,} of {counted(len(chosen), 'picture')} of {listing.name} "
            f"({100 * len(missing) / len(chosen):.1f} %){what_now}. The first: {' '.join(missing[:SHOWN])}"
        )
    faces = make_faceset(
        name=listing.name,
        faces_u8=faces_u8,
        labels=np.array([names.index(picture.label) for picture in pictures], np.int8),
        splits=np.array([_code(listing.split_names, picture.split) for picture in pictures], np.int8),
        votes=None,
        label_names=names,
        split_names=listing.split_names,
        vote_names=(),
        origin=listing.origin,
        attributes=_attributes(pictures),
    )
    return Prepared(faces, left_out, tuple(missing))


def _read(chosen: list[Picture], wanted: Wanted) -> tuple[NDArray[np.uint8], list[Picture], list[str]]:
    """Return the (N, S, S) or (N, S, S, 3) faces that could be read, their pictures, and a sentence for each other."""
    colour = (3,) if CHANNELS[wanted.colour] == 3 else ()
    faces_u8 = np.empty((len(chosen), wanted.size_px, wanted.size_px, *colour), np.uint8)
    pictures: list[Picture] = []
    missing: list[str] = []
    for number, picture in enumerate(chosen):
        if number % 100 == 0:
            wanted.progress(number / len(chosen))
        try:
            image_bgr = read_photo(picture.path)
            _check_box(picture, image_bgr)
            face = wanted.face(image_bgr, picture.box_xywh_px)
        except InputError as error:
            missing.append(str(error))
            continue
        faces_u8[len(pictures)] = face
        pictures.append(picture)
    return faces_u8[: len(pictures)], pictures, missing


def _check_box(picture: Picture, image_bgr: NDArray[np.uint8]) -> None:
    """Raise InputError if a box is not of this picture: its face would be made of the border's pixels.

    So would that of a long, thin picture without a box.
    """
    if picture.box_xywh_px is None:
        short, long = sorted(image_bgr.shape[:2])
        if long > LONGEST * short:
            raise InputError(
                f"{picture.path} is {image_bgr.shape[1]} x {image_bgr.shape[0]} pixels, too long and thin for a face; "
                "cut the face out, or leave the picture out."
            )
        return
    x, y, width, height = picture.box_xywh_px
    across = min(x + width, image_bgr.shape[1]) - max(x, 0)
    down = min(y + height, image_bgr.shape[0]) - max(y, 0)
    if across < LEAST_INSIDE * width or down < LEAST_INSIDE * height:
        raise InputError(
            f"{picture.path}: the face's box {x:g},{y:g},{width:g},{height:g} (x, y, width, height) lies outside the "
            f"picture of {image_bgr.shape[1]} x {image_bgr.shape[0]} pixels; mend it in the table."
        )


def _attributes(pictures: list[Picture]) -> dict[str, NDArray[np.str_]]:
    """Return the columns that say something of at least one picture, the group first."""
    columns = {GROUP: [picture.group for picture in pictures]}
    for name in dict.fromkeys(name for picture in pictures for name in picture.attributes):
        columns[name] = [picture.attributes.get(name, "") for picture in pictures]
    return {name: np.array(values, np.str_) for name, values in columns.items() if any(values)}


def _code(split_names: tuple[str, ...], split: str) -> int:
    return split_names.index(split)
