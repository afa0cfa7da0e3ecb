"""A table of anyone's own pictures -> FaceSet.

In: a CSV or Parquet file with the columns path and label, and, if there are some, split, group and any others.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mien.data.faceset import GROUP
from mien.data.pictures import Listing, Picture, read_pictures, split_rank
from mien.data.preparation import Format
from mien.data.text_files import check_named_once, columns, header, opened
from mien.errors import DataError, LabelError
from mien.labels import EIGHT_EXPRESSIONS, class_named

NEEDED = ("path", "label")
OWN = (*NEEDED, "split", GROUP)  # columns with a meaning; every other becomes an attribute
WHOLE = "all"  # the split of a table without that column


def list_manifest(table: Path) -> Listing:
    """List the pictures of a table; paths are as seen from the table's folder.

    Raises:
        DataError: The table cannot be read, lacks a column or has one twice.
        LabelError: A label that is no expression.
    """
    pictures = []
    for place, row in _rows(table):
        label = class_named(row["label"])
        if label is None:
            raise LabelError(
                f"{place}: {row['label']!r} is no expression; wanted {', '.join(EIGHT_EXPRESSIONS)} (or other for a "
                "face to leave out)."
            )
        others = {name: value for name, value in row.items() if name and name not in OWN}
        path, split = table.parent / row["path"], row.get("split") or WHOLE
        pictures.append(Picture(path, label, split, row.get(GROUP, ""), attributes=others))
    present = {picture.label for picture in pictures}
    return Listing(
        name=table.stem,
        pictures=pictures,
        label_names=tuple(name for name in EIGHT_EXPRESSIONS if name in present),
        split_names=tuple(sorted(dict.fromkeys(picture.split for picture in pictures), key=split_rank)),
        origin=(table.name,),
    )


def _rows(table: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield where a row is, for messages, and its cells by column.

    Without the spaces around them: "anna " is anna, and must not end up on the other side of a split.
    """
    if table.suffix.lower() == ".parquet":
        yield from _parquet_rows(table)
        return
    names = (*NEEDED, *(name for name in header(table) if name not in NEEDED))
    with opened(table) as text:
        for line, cells in columns(text, table, names):
            yield f"{table}:{line}", dict(zip(names, (cell.strip() for cell in cells), strict=True))


def _parquet_rows(table: Path) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        with table.open("rb") as file:  # pyarrow takes no path that is not UTF-8
            content = pq.read_table(file)
        content = content.rename_columns([name.strip().lower() for name in content.column_names])
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"{table} is not a Parquet file that can be read ({error}); write it anew, or give a .csv."
        ) from error
    missing = [name for name in NEEDED if name not in content.column_names]
    if missing:
        raise DataError(
            f"{table} has no column {', '.join(missing)} (it has {', '.join(content.column_names)}); wanted "
            f"{','.join(OWN)}."
        )
    check_named_once(content.column_names, table, content.column_names)
    for number, row in enumerate(content.to_pylist(), start=1):
        yield f"{table}, row {number}", {name: _cell(value) for name, value in row.items()}


def _cell(value: object) -> str:
    """Return a value as text; empty for none, and for the NaN that pandas writes instead."""
    return "" if value is None or value != value else str(value).strip()


def _recognises(source: Path) -> bool:
    return source.is_file() and (source.suffix.lower() == ".parquet" or set(NEEDED) <= set(header(source)))


FORMAT = Format(
    name="manifest",
    about=(
        "A table of your own, CSV or Parquet: path (as seen from the table's folder) and label; if you have them, "
        "split, and group for the video or person that must stay on one side of a split. Every other column (sex, age "
        "band, lighting, ...) is kept with the faces."
    ),
    example="""\
faces.csv
    | path,label,split,group,lighting
    | pictures/one.jpg,happy,train,anna,dim
    | pictures/two.jpg,sad,train,ben,bright
    | pictures/three.jpg,neutral,test,carl,dim
pictures/one.jpg
pictures/two.jpg
pictures/three.jpg""",
    recognises=_recognises,
    read=lambda source, wanted: read_pictures(list_manifest(source), wanted),
)
