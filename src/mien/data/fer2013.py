"""FER2013 in Kaggle's layout, with or without the FER+ votes -> FaceSet.

In: fer2013.csv (columns emotion, pixels, Usage), plain, gzipped or zipped; fer2013new.csv with the votes.
Source: Goodfellow et al. 2013, "Challenges in representation learning"; Barsoum et al. 2016 for the votes.
"""

import csv
import gzip
import io
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from mien.data.faceset import FaceSet, make_faceset
from mien.data.preparation import Format, Prepared, Progress, Wanted, adapted
from mien.data.text_files import columns, header
from mien.errors import DataError, LabelError
from mien.labels import EXPRESSIONS, FERPLUS_COLUMNS
from mien.words import counted

FACE_PX = 48
SPLITS = ("Training", "PublicTest", "PrivateTest")
UNREAD = "string or file could not be read to its end"  # what NumPy says of text that is no number


def read_fer2013(path: Path, *, votes: Path | None = None, progress: Progress = lambda share: None) -> FaceSet:
    """Read FER2013.

    Args:
        path: fer2013.csv, .csv.gz or a .zip that holds it. Columns may stand in any order.
        votes: fer2013new.csv of FER+, one row for each row of `path`.
        progress: Called now and then with the share of the file read so far.

    Returns:
        A FaceSet of (N, 48, 48) grey faces in the file's order, with 7 classes and 3 splits.

    Raises:
        DataError: A missing file or column, a row without exactly 2,304 pixels of 0-255, an unknown split,
            or votes that do not match.
        LabelError: An emotion that is not 0-6.
    """
    if votes is not None and not votes.is_file():
        raise DataError(f"There is no file {votes}; give the path of fer2013new.csv with --votes, or leave it out.")
    faces: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    splits: list[int] = []
    with _opened(path, progress) as text, warnings.catch_warnings():
        warnings.filterwarnings("error", UNREAD)  # an older NumPy only warns
        rows = columns(text, path, ("emotion", "pixels", "Usage"))
        for line, (emotion, pixels, usage) in rows:
            faces.append(_face(pixels, path, line))
            labels.append(_label(emotion, path, line))
            splits.append(_split(usage, path, line))
    if not faces:
        raise DataError(f"{path} has a header and no faces; download fer2013.csv again.")
    split_codes = np.array(splits, np.int8)
    return make_faceset(
        name="FER2013",
        faces_u8=np.stack(faces),
        labels=np.array(labels, np.int8),
        splits=split_codes,
        votes=None if votes is None else _votes(votes, split_codes),
        label_names=EXPRESSIONS,
        split_names=SPLITS,
        vote_names=() if votes is None else FERPLUS_COLUMNS,
        origin=(path.name,) if votes is None else (path.name, votes.name),
    )


@contextmanager
def _opened(path: Path, progress: Progress) -> Iterator[Iterator[str]]:
    """Open a CSV file, plain, gzipped or zipped, as lines of text."""
    if not path.is_file():
        raise DataError(f"There is no file {path}; give the path of fer2013.csv, .csv.gz or .zip.")
    if ".tar" in path.suffixes:
        raise DataError(f"{path} is a tar archive; unpack it (tar xf {path.name}) and give the CSV inside.")
    size = path.stat().st_size
    if size == 0:
        raise DataError(f"{path} is empty; download it again.")
    try:
        with path.open("rb") as raw, ExitStack() as stack:
            unpacked: IO[bytes] = raw
            if path.suffix == ".gz":
                unpacked = cast(IO[bytes], stack.enter_context(gzip.open(raw)))
            elif path.suffix == ".zip":
                unpacked = stack.enter_context(_csv_in_zip(stack.enter_context(zipfile.ZipFile(raw)), path))
            text = stack.enter_context(io.TextIOWrapper(unpacked, encoding="utf-8-sig", newline=""))

            def lines() -> Iterator[str]:
                for number, line in enumerate(text):
                    if number % 500 == 0:
                        progress(raw.tell() / size)
                    yield line

            yield lines()
    except (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, EOFError, UnicodeDecodeError, RuntimeError) as error:
        # zipfile says RuntimeError where a password is wanted.
        raise DataError(f"{path} cannot be unpacked ({error}); download it again.") from error
    except csv.Error as error:
        raise DataError(f"{path} is not a CSV file that can be read ({error}); download it again.") from error


def _csv_in_zip(archive: zipfile.ZipFile, path: Path) -> IO[bytes]:
    members = [name for name in archive.namelist() if Path(name).name in ("fer2013.csv", "icml_face_data.csv")]
    if not members:
        raise DataError(f"{path} holds no fer2013.csv; give the archive of the Kaggle competition, or the CSV itself.")
    return archive.open(members[0])


def _face(pixels: str, path: Path, line: int) -> NDArray[np.uint8]:
    try:
        values = np.fromstring(pixels, np.int64, sep=" ")  # several times as fast as through a list
    except (ValueError, DeprecationWarning):
        raise DataError(f"{path}:{line}: the pixels are not all whole numbers; wanted 2,304 of 0-255.") from None
    if len(values) != FACE_PX * FACE_PX:
        raise DataError(
            f"{path}:{line}: {counted(len(values), 'pixel')}; wanted 48 x 48 = 2,304. Download the file again."
        )
    if values.min() < 0 or values.max() > 255:
        raise DataError(f"{path}:{line}: a pixel outside 0-255; wanted 2,304 grey values of 0-255.")
    return values.astype(np.uint8).reshape(FACE_PX, FACE_PX)


def _label(emotion: str, path: Path, line: int) -> int:
    if emotion not in _CODES:
        raise LabelError(f"{path}:{line}: emotion {emotion!r} is not 0-6. FER2013 uses 0=angry … 6=neutral.")
    return _CODES[emotion]


_CODES = {str(code): code for code in range(len(EXPRESSIONS))}


def _split(usage: str, path: Path, line: int) -> int:
    if usage.strip() not in SPLITS:
        raise DataError(
            f"{path}:{line}: Usage {usage!r} is none of {', '.join(SPLITS)}; mend the line, or get the file anew."
        )
    return SPLITS.index(usage.strip())


def _votes(path: Path, splits: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Return the (N, 10) counts of FER+ votes, checked row by row against the faces' splits."""
    counts: list[list[int]] = []
    with _opened(path, lambda share: None) as text:
        for line, (usage, *cells) in columns(text, path, ("Usage", *FERPLUS_COLUMNS)):
            if len(counts) < len(splits) and _split(usage, path, line) != splits[len(counts)]:
                raise DataError(
                    f"{path}:{line}: Usage {usage!r} differs from the face's own; the files do not match; "
                    "give the votes of this very file."
                )
            if not all(cell.isdecimal() and int(cell) <= 255 for cell in cells):
                raise DataError(
                    f"{path}:{line}: votes must be whole numbers, got {','.join(cells)}; get the file anew."
                )
            counts.append([int(cell) for cell in cells])
    if len(counts) != len(splits):
        raise DataError(
            f"{path} has votes for {counted(len(counts), 'face')}, and there are {len(splits):,}; "
            "wanted votes for each."
        )
    return np.array(counts, np.uint8)


def _recognises(source: Path) -> bool:
    packed = {".gz", ".zip", ".tar"} & set(source.suffixes)
    return source.is_file() and bool(packed or {"emotion", "pixels"} & set(header(source)))


def _read(source: Path, wanted: Wanted) -> Prepared:
    return adapted(read_fer2013(source, votes=wanted.votes, progress=wanted.progress), wanted)


FORMAT = Format(
    name="fer2013",
    about=(
        "FER2013 as Kaggle gives it, plain, gzipped or zipped: 48 x 48 grey faces, seven expressions, three splits. "
        "With --votes fer2013new.csv the votes of FER+ are kept beside FER2013's own labels."
    ),
    example="""\
fer2013.csv
    | emotion,pixels,Usage
    | 0,70 80 82 72 … (2,304 grey values),Training
    | 2,151 150 147 155 …,PublicTest
    | 4,231 212 156 164 …,PrivateTest""",
    recognises=_recognises,
    read=_read,
    takes_votes=True,
)
