"""A folder of class folders -> FaceSet.

In: train/angry/*.jpg and the like; Kaggle's images/train and images/validation; or the class folders alone.
"""

from pathlib import Path

from mien.data.pictures import Listing, Picture, read_pictures, split_rank
from mien.data.preparation import Format
from mien.errors import DataError, LabelError
from mien.labels import EIGHT_EXPRESSIONS, class_named
from mien.photos import PHOTO_SUFFIXES

WHOLE = "all"  # the one split where the class folders stand at the top
DEPTH = 2  # folders that may stand above the splits, as Kaggle's images/ does


def list_folder(root: Path) -> Listing:
    """List the pictures of a folder of class folders.

    Raises:
        DataError: No class folder at the top, below a split, or below images/.
        LabelError: A folder among the class folders has pictures, and its name is no expression.
    """
    splits = _splits(root, DEPTH)
    if not splits:
        raise DataError(
            f"{root} has no class folders; wanted train/angry/*.jpg or angry/*.jpg, or another of `mien data formats`."
        )
    pictures = [
        Picture(path, label, split)
        for split, folder in splits.items()
        for label, paths in _classes(folder).items()
        for path in paths
    ]
    present = {picture.label for picture in pictures}
    return Listing(
        name=root.resolve().name,
        pictures=pictures,
        label_names=tuple(name for name in EIGHT_EXPRESSIONS if name in present),
        split_names=tuple(splits),
        origin=(root.resolve().name,),
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


def _classes(folder: Path) -> dict[str, list[Path]]:
    """Return label -> pictures."""
    classes: dict[str, list[Path]] = {}
    for child in _folders(folder):
        label, pictures = class_named(child.name), _pictures(child)
        if label is not None:
            classes.setdefault(label, []).extend(pictures)
        elif pictures and not _splits(child, DEPTH):  # Kaggle's images/ holds a second images/, the same again
            raise LabelError(
                f"{child} is no expression; wanted folders named {', '.join(EIGHT_EXPRESSIONS)} (or other for faces to "
                "leave out)."
            )
    return classes


def _has_classes(folder: Path) -> bool:
    return any(class_named(child.name) is not None for child in _folders(folder))


def _folders(folder: Path) -> list[Path]:
    inside = [child for child in folder.iterdir() if child.is_dir() and not child.name.startswith(".")]
    return sorted(inside, key=lambda child: child.name.lower())


def _pictures(folder: Path) -> list[Path]:
    """Return the pictures at any depth, by name; a name with a dot in front is the system's, not a picture."""
    return sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in PHOTO_SUFFIXES and not path.name.startswith(".")
    )


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
