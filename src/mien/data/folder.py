"""A folder of class folders -> FaceSet.

In: train/angry/*.jpg and the like; Kaggle's images/train and images/validation; or the class folders alone.
"""

import filecmp
from collections import Counter
from pathlib import Path

from mien.data.faceset import is_faceset
from mien.data.pictures import SHOWN, Listing, Picture, read_pictures, split_rank
from mien.data.preparation import Format
from mien.errors import DataError, LabelError
from mien.labels import EIGHT_EXPRESSIONS, class_named
from mien.photos import PHOTO_SUFFIXES
from mien.words import counted

WHOLE = "all"  # the one split where the class folders stand at the top
SPLITS = ("train", "training", "val", "valid", "validation", "test", "testing")  # no person is called so
DEPTH = 2  # folders that may stand above the splits, as Kaggle's images/ does


def list_folder(root: Path) -> Listing:
    """List the pictures of a folder of class folders.

    Raises:
        DataError: No class folder at the top, below a split, or below images/; or pictures in folders beside those
            that are read.
        LabelError: A folder among the class folders has pictures, and its name is no expression; or one in a class
            folder is called as another expression or a split is.
    """
    splits = _splits(root, DEPTH)
    if not splits:
        raise DataError(
            f"{root} has no class folders; wanted train/angry/*.jpg or angry/*.jpg, or another of `mien data formats`."
        )
    pictures: list[Picture] = []
    left_out: Counter[str] = Counter()
    class_folders: list[Path] = []
    for split, folder in splits.items():
        for label, class_folder in _classes(folder):
            class_folders.append(class_folder)
            for path in _files(class_folder):
                if _is_picture(path):
                    _check_inside(path, class_folder, label)
                    pictures.append(Picture(path, label, split))
                else:
                    ending = f"with the suffix {path.suffix.lower()}" if path.suffix else "without a suffix"
                    left_out[f"{ending}, not read as a picture"] += 1
    passages = _passages(root, class_folders)
    _check_all_read(root, splits, passages, class_folders, [picture.path for picture in pictures])
    if loose := sum(_is_picture(path) for folder in passages for path in folder.iterdir() if path.is_file()):
        left_out["in no class folder"] = loose
    present = {picture.label for picture in pictures}
    return Listing(
        name=root.resolve().name,
        pictures=pictures,
        label_names=tuple(name for name in EIGHT_EXPRESSIONS if name in present),
        split_names=tuple(splits),
        origin=(root.resolve().name,),
        left_out=left_out,
    )


def _check_inside(picture: Path, class_folder: Path, label: str) -> None:
    """Raise LabelError if a picture lies in another class's folder, or a split's, within its class folder."""
    for parent in picture.relative_to(class_folder).parents:
        if class_named(parent.name) not in (None, label) or parent.name.lower() in SPLITS:
            raise LabelError(
                f"{class_folder / parent} lies in a folder of {label} faces; wanted train/angry/ and not angry/train/, "
                "and no class folder within another; move it, or name it otherwise."
            )


def _splits(folder: Path, depth: int) -> dict[str, Path]:
    """Return name -> folder of the splits: the folder itself, those in it, or those of the one folder that has some."""
    if _has_classes(folder):
        return {WHOLE: folder}
    found = {child.name: child for child in _folders(folder) if _has_classes(child)}
    if found or depth == 0:
        return {name: found[name] for name in sorted(found, key=split_rank)}
    deeper = {child: splits for child in _folders(folder) if (splits := _splits(child, depth - 1))}
    if len(deeper) > 1:
        raise DataError(
            f"{folder} holds several datasets ({', '.join(child.name for child in deeper)}); give one of them."
        )
    return next(iter(deeper.values()), {})


def _classes(folder: Path) -> list[tuple[str, Path]]:
    """Return label and class folder; two folders may have one label."""
    return [(label, child) for child in _folders(folder) if (label := class_named(child.name)) is not None]


def _passages(root: Path, class_folders: list[Path]) -> list[Path]:
    """Return the folders that lead from the root to class folders, the root first."""
    leading = {parent for folder in class_folders for parent in folder.parents}
    return sorted(folder for folder in leading if folder.is_relative_to(root))


def _check_all_read(
    root: Path, splits: dict[str, Path], passages: list[Path], class_folders: list[Path], read: list[Path]
) -> None:
    """Raise DataError if folders beside those that are read have pictures: a split or a class would be lost unseen.

    Kaggle's images/ holds a second images/, the same again. What is repeated so, byte for byte, is passed over, and so
    is a FaceSet that was written here, with its contact sheet.
    """
    first = next(iter(splits.values()))
    base = first if len(splits) == 1 else first.parent
    known = {path.relative_to(base) for path in read}
    for parent in passages:
        for folder in _folders(parent):
            if folder in passages or folder in class_folders or is_faceset(folder):
                continue
            count = sum(_is_picture(path) and not _repeats(path, root, base, known) for path in _files(folder))
            if count and _splits(folder, DEPTH):
                raise DataError(
                    f"{folder} has {counted(count, 'picture')} in class folders of its own, beside those of {base}; "
                    "wanted them in one place, at the top or in splits; move the one or the other away."
                )
            if count and parent in splits.values():
                raise LabelError(
                    f"{folder} is no expression; wanted folders named {', '.join(EIGHT_EXPRESSIONS)} (or other for "
                    "faces to leave out)."
                )
            if count:
                inside = ", ".join(child.name for child in _folders(folder)[:SHOWN]) or "no folder"
                raise LabelError(
                    f"{folder} has {counted(count, 'picture')} and no class folder (it has {inside}); wanted folders "
                    f"named {', '.join(EIGHT_EXPRESSIONS)} in it; name them so, or move {folder.name} away."
                )


def _repeats(path: Path, root: Path, base: Path, known: set[Path]) -> bool:
    """Return whether a picture that is read lies at the end of this path too, and is the same."""
    parts = path.relative_to(root).parts
    ends = (Path(*parts[start:]) for start in range(1, len(parts)))
    try:
        return any(end in known and filecmp.cmp(path, base / end, shallow=False) for end in ends)
    except OSError:  # one of them cannot be read, so nobody knows
        return False


def _has_classes(folder: Path) -> bool:
    return any(class_named(child.name) is not None for child in _folders(folder))


def _folders(folder: Path) -> list[Path]:
    inside = [child for child in folder.iterdir() if child.is_dir() and not child.name.startswith(".")]
    return sorted(inside, key=lambda child: child.name.lower())


def _files(folder: Path) -> list[Path]:
    """Return the files at any depth, by name; what has a dot in front, or lies below it, is the system's."""
    seen = (path for path in folder.rglob("*") if all(part[0] != "." for part in path.relative_to(folder).parts))
    return sorted(path for path in seen if not path.is_dir())


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PHOTO_SUFFIXES and not path.name.startswith(".")


FORMAT = Format(
    name="folder",
    about=(
        "A folder for each class, at the top, in a folder for each split, or below images/ as Kaggle packs it. Names "
        "in any case; anger, happiness, sadness and the like are understood; a folder named other is left out."
    ),
    example="""\
train/angry/one.jpg
train/happy/two.jpg
validation/angry/three.jpg
validation/happy/four.jpg""",
    recognises=lambda source: source.is_dir() and bool(_splits(source, DEPTH)),
    read=lambda source, wanted: read_pictures(list_folder(source), wanted),
)
