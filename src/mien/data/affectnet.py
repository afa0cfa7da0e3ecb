"""AffectNet's manually annotated part -> FaceSet.

In: a folder with training.csv, validation.csv and the pictures, as they were unpacked.
Source: Mollahosseini, Hasani & Mahoor 2017, "AffectNet: a database for facial expression, valence, and arousal".
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from math import isfinite
from pathlib import Path

from mien.data.pictures import Listing, Picture, read_pictures
from mien.data.preparation import Format
from mien.data.text_files import columns, header, opened
from mien.errors import DataError, InputError, LabelError
from mien.labels import AFFECTNET_CODES, EIGHT_EXPRESSIONS, NO_EXPRESSION, listed
from mien.photos import photo_size
from mien.preprocess import Box

FILES = {"training": "train", "validation": "validation"}
COLUMNS = (
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
)
DEPTHS = ("", "*/", "*/*/")  # where people unpack the tables
SAMPLE = 200  # pictures whose size decides whether the boxes belong to them
FITTING_SHARE = 0.9  # a detector's box may stick out of its own picture now and then
TOLERANCE_PX = 2


def list_affectnet(root: Path) -> Listing:
    """List AffectNet's pictures, with valence and arousal.

    The boxes are those of the original photos. Where they reach beyond the pictures that are there, these have been cut
    out and scaled already, and are taken whole.

    Raises:
        DataError: No table, a row without the nine columns, or a box that is not four numbers with
            sides above 0.
        LabelError: A code that is not 0-10.
    """
    tables = _tables(root)
    if not tables:
        raise DataError(f"{root} has no training.csv and no validation.csv; give the folder that AffectNet lies in.")
    rows = [(table, line, cells) for table in tables for line, cells in _rows(table)]
    for table in tables:
        if not any(table == each for each, _, _ in rows):
            raise DataError(f"{table} has no row; unpack AffectNet again.")
    pictures_root = _pictures_root(root, [cells[0] for _, _, cells in rows])
    pictures = [_picture(pictures_root, table, line, cells) for table, line, cells in rows]
    if not _boxes_fit(pictures):
        pictures = [replace(picture, box_xywh_px=None) for picture in pictures]
    return Listing(
        name="AffectNet",
        pictures=pictures,
        label_names=EIGHT_EXPRESSIONS,
        split_names=tuple(FILES[table.stem] for table in tables),
        origin=tuple(table.name for table in tables),
    )


def _tables(root: Path) -> list[Path]:
    found = ([path for depth in DEPTHS for path in sorted(root.glob(f"{depth}{stem}.csv"))] for stem in FILES)
    return [paths[0] for paths in found if paths]


def _rows(table: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield line and cells; the validation table of some releases has no header."""
    headed = COLUMNS[0].lower() in header(table)
    with opened(table) as text:
        for line, cells in columns(text if headed else chain([",".join(COLUMNS)], text), table, COLUMNS):
            yield line if headed else line - 1, cells


def _pictures_root(root: Path, names: list[str]) -> Path:
    """Return the folder from which the tables' paths lead to pictures: the first in which one of a few is found."""
    folders = [root, *(path for depth in ("*", "*/*") for path in sorted(root.glob(depth)) if path.is_dir())]
    for name in names[:SAMPLE]:
        for folder in folders:
            if (folder / name).is_file():
                return folder
    return root / "Manually_Annotated_Images"


def _picture(root: Path, table: Path, line: int, cells: list[str]) -> Picture:
    name, *corners, _, code, valence, arousal = cells
    if code not in AFFECTNET_CODES:
        raise LabelError(f"{table}:{line}: expression {code!r} is not 0-10. AffectNet uses 0=neutral … 7=contempt.")
    label = AFFECTNET_CODES[code]
    return Picture(
        path=root / name,
        label=label,
        split=FILES[table.stem],
        box_xywh_px=None if label in NO_EXPRESSION else _box(corners, table, line),
        attributes={"valence": valence, "arousal": arousal},
    )


def _box(corners: list[str], table: Path, line: int) -> Box:
    try:
        x, y, width, height = (float(number) for number in corners)
    except ValueError:
        raise DataError(f"{table}:{line}: the face's box {','.join(corners)!r} is not four numbers.") from None
    if not (all(map(isfinite, (x, y, width, height))) and width > 0 and height > 0):
        raise DataError(
            f"{table}:{line}: the face's box {','.join(corners)!r} is none; wanted finite numbers x, y, width, height, "
            "the last two above 0; mend the line."
        )
    return x, y, width, height


def _boxes_fit(pictures: list[Picture]) -> bool:
    """Return whether nearly all boxes of a sample lie within their pictures."""
    inside: list[bool] = []
    for picture in pictures[:: max(1, len(pictures) // SAMPLE)]:
        if picture.box_xywh_px is None:
            continue
        try:
            width, height = photo_size(picture.path)
        except InputError:  # it will be reported when it is read
            continue
        x, y, w, h = picture.box_xywh_px
        reach = x + w <= width + TOLERANCE_PX and y + h <= height + TOLERANCE_PX
        inside.append(reach and min(x, y) >= -TOLERANCE_PX)
    return sum(inside) >= FITTING_SHARE * len(inside)


FORMAT = Format(
    name="affectnet",
    about=(
        f"AffectNet's manually annotated pictures and their two tables ({listed(AFFECTNET_CODES)}; the last three are "
        "left out). Faces are cut out by their boxes, unless the boxes reach beyond the pictures: then these are taken "
        "whole. Valence and arousal go along."
    ),
    example="""\
Manually_Annotated_file_lists/training.csv
    | subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal
    | 689/one.jpg,10,12,60,60,20.5;31.0;22.1;38.4,1,0.785714,-0.055556
    | 12/two.jpg,8,8,64,64,18.0;29.7;19.9;35.2,9,-2,-2
Manually_Annotated_file_lists/validation.csv
    | 736/three.jpg,9,9,62,62,19.3;30.2;21.0;36.9,7,-0.6,0.3
Manually_Annotated_Images/689/one.jpg
Manually_Annotated_Images/12/two.jpg
Manually_Annotated_Images/736/three.jpg""",
    recognises=lambda source: source.is_dir() and bool(_tables(source)),
    read=lambda source, wanted: read_pictures(list_affectnet(source), wanted),
)
