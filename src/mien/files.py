"""Files on disk: written beside and renamed, so that nothing half-written is ever left under its own name."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mien.errors import OutputError


def as_text(path: Path | str) -> str:
    """Return a path as text for tables and messages, also where its bytes are no UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def check_writable(path: Path) -> None:
    """Raise OutputError unless a file or folder could be written at `path`.

    Called before long work starts, so that nobody waits an hour to hear of a typing error.
    """
    folder = path.parent
    if not folder.is_dir():
        raise OutputError(f"Cannot write {path}: the folder {folder} does not exist; create it first.")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"Cannot write {path}: no permission to write in {folder}.")
    if path.is_dir():
        raise OutputError(f"Cannot write {path}: it is a folder; give the name of a file.")


def make_folder(path: Path) -> None:
    """Make a folder and those above it, unless it is there.

    Raises:
        OutputError: It cannot be made, or not be written in.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot make the folder {path}: {error.strerror or error}; choose another.") from error
    if not os.access(path, os.W_OK):
        raise OutputError(f"Cannot write in {path}: no permission; choose another folder.")


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; rename it to `path` at the end.

    The suffix is kept, since writers choose their format by it. If the block raises, what it wrote
    is deleted and `path` is as it was. Works for a file or for a folder that the block creates.

    Raises:
        OutputError: The folder does not exist, or cannot be written to.
    """
    check_writable(path)
    beside = path.with_name(f".{shortened(path.stem)}.{os.getpid()}.part{path.suffix}")
    _remove(beside)  # of a process that had this number and was killed
    try:
        yield beside
        beside.replace(path)
    except BrokenPipeError:  # of whoever reads what we print, `mien … | head` for one
        raise
    except OSError as error:
        raise OutputError(f"Cannot write {path}: {error.strerror or error}.") from error
    finally:
        _remove(beside)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def shortened(stem: str) -> str:
    """Return a file name's stem cut to 200 bytes, so that what is added to it keeps to the 255 of a file system."""
    return stem if len(os.fsencode(stem)) <= 200 else os.fsencode(stem)[:200].decode(errors="ignore")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
