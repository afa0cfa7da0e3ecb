"""The datasets' layouts that mien reads, by name, and which of them a file or folder is in.

In: a path, and a name if the user gave one.  Out: Prepared.
"""

from pathlib import Path

from mien.data import affectnet, affwild2, fer2013, ferplus, folder, manifest, rafdb
from mien.data.preparation import CHANNELS, Format, Prepared, Wanted
from mien.errors import DataError, unknown_name

FORMATS: dict[str, Format] = {
    each.FORMAT.name: each.FORMAT for each in (fer2013, ferplus, folder, rafdb, affectnet, affwild2, manifest)
}
# Asked in this order whether a path is theirs: a plain folder last, since others have folders too.
_ASKED: tuple[Format, ...] = (
    rafdb.FORMAT,
    affwild2.FORMAT,
    affectnet.FORMAT,
    manifest.FORMAT,
    fer2013.FORMAT,
    folder.FORMAT,
)
SMALLEST_PX, LARGEST_PX = 16, 1024


def prepare(source: Path, wanted: Wanted, *, format_name: str | None = None) -> Prepared:
    """Read a dataset.

    Args:
        source: Its file or folder.
        wanted: What is asked for.
        format_name: A key of FORMATS; found out from the source if not given.

    Raises:
        DataError: No such file or format, something impossible is asked for, or the dataset is not what it should be.
        LabelError: A label outside the dataset's codes, or one that was asked for and is not there.
    """
    if wanted.colour not in CHANNELS:
        raise DataError(unknown_name("colour", wanted.colour, CHANNELS))
    if not SMALLEST_PX <= wanted.size_px <= LARGEST_PX:
        large = "small" if wanted.size_px < SMALLEST_PX else "large"
        raise DataError(
            f"Faces of {wanted.size_px} pixels are too {large}; wanted {SMALLEST_PX} to {LARGEST_PX} with --size."
        )
    found = _format(source, format_name)
    if wanted.votes is not None and not found.takes_votes:
        raise DataError(f"The format {found.name} has no use for --votes; they belong to FER2013's faces.")
    return found.read(source, wanted)


def _format(source: Path, name: str | None) -> Format:
    if name is not None and name not in FORMATS:
        raise DataError(unknown_name("format", name, FORMATS))
    if not source.exists():
        raise DataError(f"There is no file {source} and no folder of that name; check the spelling.")
    if source.is_file() and source.stat().st_size == 0:
        raise DataError(f"{source} is empty (0 bytes); copy or download it again.")
    if name is not None:
        return FORMATS[name]
    for known in _ASKED:
        if known.recognises(source):
            return known
    raise DataError(
        f"{source} is in no layout that mien knows; see `mien data formats`, and if it is one of them say which with "
        "--format."
    )
