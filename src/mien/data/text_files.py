"""Text files of datasets: their lines, and the rows of CSV files by the names of their columns.

In: a path.  Out: lines, or (line number for messages, cells).
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mien.errors import DataError
from mien.words import counted


def header(path: Path) -> list[str]:
    """Return the names in a file's first line, in small letters; none if it is no text."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            return _names(next(csv.reader(text), []))
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


def columns(text: Iterator[str], path: Path, wanted: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, the wanted columns) of each row below the header.

    Raises:
        DataError: A column is missing or there twice, or a row has more or fewer cells than the header.
    """
    reader = csv.reader(text)
    names = _names(next(reader, []))
    missing = [name for name in wanted if name.lower() not in names]
    if missing:
        raise DataError(
            f"{path} has no column {', '.join(missing)} (its first line: {', '.join(names)[:80] or 'empty'}); "
            f"wanted {','.join(wanted)}."
        )
    check_named_once(names, path, wanted)
    places = [names.index(name.lower()) for name in wanted]
    for row in reader:
        if not row:
            continue
        if len(row) != len(names):
            raise DataError(
                f"{path}:{reader.line_num}: {counted(len(row), 'column')}, and the header has "
                f"{len(names)}; mend the line."
            )
        yield reader.line_num, [row[place] for place in places]


def check_named_once(names: Sequence[str], path: Path, wanted: Iterable[str]) -> None:
    """Raise DataError if one of the wanted columns is there more than once; a column without a name may be."""
    twice = [name for name in dict.fromkeys(wanted) if name and names.count(name.lower()) > 1]
    if twice:
        raise DataError(
            f"{path} has more than one column {', '.join(twice)} (capitals make no difference); wanted each once; "
            "rename the others or take them out."
        )


@contextmanager
def opened(path: Path) -> Iterator[Iterator[str]]:
    """Open a text file as lines.

    Raises:
        DataError: It is missing, not text, or, where it is read as CSV, no CSV.
    """
    if not path.is_file():
        raise DataError(f"There is no file {path}; check the spelling.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            yield text
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a text file that can be read ({error}); save it in UTF-8.") from error


def _names(first_line: list[str]) -> list[str]:
    return [name.strip().lower() for name in first_line]
