"""RAF-DB's single-label set -> FaceSet.

In: the folder `basic`, with EmoLabel/list_patition_label.txt and Image/aligned.
Source: Li, Deng & Du 2017, "Reliable crowdsourcing and deep locality-preserving learning"; the readme in the data set.
"""

from pathlib import Path

from mien.data.pictures import Listing, Picture, read_pictures
from mien.data.preparation import Format
from mien.data.text_files import opened
from mien.errors import DataError, LabelError
from mien.labels import EXPRESSIONS, RAFDB_CODES, listed

LIST = "EmoLabel/list_patition_label.txt"  # the misspelling is the dataset's
ALIGNED = "Image/aligned"
SPLITS = ("train", "test")  # how the pictures' names begin
# The last three lines of Annotation/manual/*_manu_attri.txt, below five landmarks.
ATTRIBUTES = {
    "gender": ("male", "female", "unsure"),
    "race": ("Caucasian", "African-American", "Asian"),
    "age": ("0-3", "4-19", "20-39", "40-69", "70+"),
}


def list_rafdb(root: Path) -> Listing:
    """List RAF-DB's aligned pictures, with gender, race and age where the annotations are there.

    Raises:
        DataError: No list, or a line of it that is not `train_00001.jpg 5`.
        LabelError: A code that is not 1-7.
    """
    base = _base(root)
    if base is None:
        raise DataError(f"{root} has no {LIST}; give RAF-DB's folder `basic`.")
    pictures = []
    with opened(base / LIST) as lines:
        for line, text in enumerate(lines, start=1):
            if not text.strip():
                continue
            name, _, code = text.strip().partition(" ")
            split = name.partition("_")[0]
            if split not in SPLITS:
                raise DataError(f"{base / LIST}:{line}: {text.strip()!r} is not like `train_00001.jpg 5`.")
            if code not in RAFDB_CODES:
                raise LabelError(f"{base / LIST}:{line}: {code!r} is not 1-7. RAF-DB uses 1=surprise … 7=neutral.")
            stem = Path(name).stem
            path = base / ALIGNED / f"{stem}_aligned.jpg"
            pictures.append(Picture(path, RAFDB_CODES[code], split, attributes=_attributes(base, stem)))
    return Listing("RAF-DB", pictures, EXPRESSIONS, SPLITS, (Path(LIST).name,))


def _base(root: Path) -> Path | None:
    return next((base for base in (root, root / "basic") if (base / LIST).is_file()), None)


def _attributes(base: Path, stem: str) -> dict[str, str]:
    path = base / "Annotation" / "manual" / f"{stem}_manu_attri.txt"
    if not path.is_file():
        return {}
    with opened(path) as lines:
        codes = "".join(lines).split()[-len(ATTRIBUTES) :]
    try:
        return {
            name: dict(zip("01234", values, strict=False))[code]
            for (name, values), code in zip(ATTRIBUTES.items(), codes, strict=True)
        }
    except (ValueError, KeyError):
        raise DataError(
            f"{path}: the last three lines are not gender, race and age as RAF-DB counts them; get the file anew."
        ) from None


FORMAT = Format(
    name="rafdb",
    about=(
        f"RAF-DB's folder `basic`: a list with a code for each picture ({listed(RAFDB_CODES)}) and the aligned "
        "pictures. Gender, race and age go along where Annotation/manual is there."
    ),
    example="""\
EmoLabel/list_patition_label.txt
    | train_00001.jpg 5
    | test_0001.jpg 7
Image/aligned/train_00001_aligned.jpg
Image/aligned/test_0001_aligned.jpg
Annotation/manual/train_00001_manu_attri.txt
    | 48.3 90.1
    | 88.0 88.5
    | 65.2 120.7
    | 50.9 140.2
    | 85.6 139.8
    | 1
    | 0
    | 2""",
    recognises=lambda source: source.is_dir() and _base(source) is not None,
    read=lambda source, wanted: read_pictures(list_rafdb(source), wanted),
)
