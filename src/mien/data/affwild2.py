"""Aff-Wild2's expression challenge -> FaceSet, a group for each video.

In: a folder with the annotations (…/EXPR_…/Train_Set/*.txt) and the aligned crops (…/cropped_aligned/<video>/*.jpg).
Source: Kollias & Zafeiriou 2019, "Expression, affect, action unit recognition: Aff-Wild2", and the challenge's readme.
"""

from collections import Counter
from pathlib import Path

from mien.data.pictures import Listing, Picture, read_pictures
from mien.data.preparation import Format
from mien.data.text_files import opened
from mien.errors import DataError, LabelError
from mien.labels import EXPRESSIONS, class_named

SETS = {"Train_Set": "train", "Validation_Set": "validation"}
CROPS = "cropped_aligned"  # as the dataset calls their folder
NO_LABEL = "-1"
PEOPLE = ("_left", "_right")  # the two people of one video have files of their own
NO_CROP = "no crop of the frame (no face was found in it)"


def list_affwild2(root: Path) -> Listing:
    """List the labelled frames of Aff-Wild2 that have a crop.

    Line i below the header of <video>.txt belongs to frame i, <video>/0000i.jpg. A frame without a crop is one in which
    the dataset's authors found no face; it is left out, as is one labelled -1. A video without a folder is missing.

    Raises:
        DataError: No annotations.
        LabelError: A column of a header that is no expression, or a label that is none of its columns.
    """
    annotations = _annotations(root)
    if annotations is None:
        raise DataError(f"{root} has no folder EXPR_…/Train_Set with a .txt for each video; give Aff-Wild2's folder.")
    files = [(file, split) for folder, split in SETS.items() for file in sorted((annotations / folder).glob("*.txt"))]
    crops = _crops(root, [file.stem for file, _ in files])
    pictures: list[Picture] = []
    left_out: Counter[str] = Counter()
    for file, split in files:
        found = {path.name for path in folder.iterdir()} if (folder := crops / file.stem).is_dir() else None
        for frame, label in enumerate(_labels(file), start=1):
            name = f"{frame:05d}.jpg"
            if label is None:
                left_out[f"no label ({NO_LABEL})"] += 1
            elif found is not None and name not in found:
                left_out[NO_CROP] += 1
            else:
                pictures.append(Picture(folder / name, label, split, group=_video(file.stem)))
    return Listing(
        name="Aff-Wild2",
        pictures=pictures,
        label_names=EXPRESSIONS,
        split_names=tuple(SETS.values()),
        origin=(annotations.name, crops.name),
        left_out=left_out,
    )


def _annotations(root: Path) -> Path | None:
    found = (folder.parent for depth in ("", "*/", "*/*/") for folder in root.glob(f"{depth}Train_Set"))
    return next((folder for folder in sorted(found) if folder.resolve().name.upper().startswith("EXPR")), None)


def _crops(root: Path, videos: list[str]) -> Path:
    """Return the folder that holds the videos' folders: the one called so, or else the only one.

    Raises:
        DataError: There are several, such as the whole frames beside the crops.
    """
    for video in videos:
        below = (folder for pattern in (f"*/{video}", f"*/*/{video}") for folder in root.glob(pattern))
        found = sorted({folder.parent for folder in below if folder.is_dir()})
        found = [folder for folder in found if folder.name == CROPS] or found
        if len(found) > 1:
            raise DataError(
                f"{root} has several folders of pictures of {video} ({', '.join(str(folder) for folder in found)}); "
                f"wanted the aligned crops in one called {CROPS}."
            )
        if found:
            return found[0]
    return root / CROPS


def _labels(file: Path) -> list[str | None]:
    """Return the label of each frame, None for -1."""
    with opened(file) as text:
        header, *lines = [line.strip() for line in text] or [""]
    columns = [class_named(name) for name in header.split(",")]
    if None in columns:
        raise LabelError(f"{file}: the first line is not Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other.")
    known = {str(code): name for code, name in enumerate(columns)} | {NO_LABEL: None}
    while lines and not lines[-1]:
        lines.pop()
    for line, code in enumerate(lines, start=2):
        if code not in known:
            raise LabelError(f"{file}:{line}: {code!r} is neither -1 nor 0-{len(columns) - 1}.")
    return [known[code] for code in lines]


def _video(name: str) -> str:
    for person in PEOPLE:
        name = name.removesuffix(person)
    return name


FORMAT = Format(
    name="affwild2",
    about=(
        "Aff-Wild2's expression challenge: a file for each video whose first line names the codes and whose line i "
        "below is frame i, -1 for none; and the aligned crops. The video is the group, so that `mien data split` "
        "keeps its frames on one side; Other is left out."
    ),
    example="""\
annotations/EXPR_Classification_Challenge/Train_Set/video1.txt
    | Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other
    | 4
    | -1
    | 6
annotations/EXPR_Classification_Challenge/Validation_Set/video2_left.txt
    | Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other
    | 0
    | 7
cropped_aligned/video1/00001.jpg
cropped_aligned/video1/00003.jpg
cropped_aligned/video2_left/00001.jpg
cropped_aligned/video2_left/00002.jpg""",
    recognises=lambda source: source.is_dir() and _annotations(source) is not None,
    read=lambda source, wanted: read_pictures(list_affwild2(source), wanted),
)
