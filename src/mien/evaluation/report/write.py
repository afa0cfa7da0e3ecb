"""Write an evaluation's folder: evaluation.json, predictions.parquet and report.html."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mien.errors import OutputError
from mien.evaluation.evaluate import Judged
from mien.evaluation.report.gallery import choose_faces
from mien.evaluation.report.page import render
from mien.files import check_writable, written_beside


def check_folder(folder: Path) -> None:
    """Raise OutputError unless a report could be written in `folder`, which need not exist yet."""
    if folder.is_dir():
        check_writable(folder / "report.html")
    elif folder.exists():
        raise OutputError(f"Cannot write a report in {folder}: it is a file; give the name of a folder.")
    else:
        check_writable(folder)


def write_report(judged: Judged, folder: Path, *, gallery: bool) -> None:
    """Write a report into a folder, which is made if need be; files of an earlier report are replaced.

    Args:
        judged: What to report.
        folder: Where.
        gallery: Whether faces of the FaceSet may be shown in the page.

    Raises:
        OutputError: The folder cannot be written.
    """
    check_folder(folder)
    folder.mkdir(exist_ok=True)
    galleries = [choose_faces(p, judged.faces) for p in judged.probabilities.values()] if gallery else []
    with written_beside(folder / "report.html") as beside:
        beside.write_text(render(judged.results, galleries), encoding="utf-8")
    with written_beside(folder / "evaluation.json") as beside:
        beside.write_text(judged.results.to_json(), encoding="utf-8")
    with written_beside(folder / "predictions.parquet") as beside, beside.open("wb") as file:
        pq.write_table(predictions(judged), file)  # pyarrow takes no path that is not UTF-8


def predictions(judged: Judged) -> pa.Table:
    """Return a row for each model and face: what the face is, what it was called, and every probability."""
    labels = np.array(judged.faces.label_names)
    tables = []
    for model, probabilities in judged.probabilities.items():
        columns = {
            "model": pa.array([model] * len(probabilities)),
            "face": pa.array(np.arange(len(probabilities), dtype=np.int32)),  # its place in the split
            "label": pa.array(labels[judged.faces.labels]),
            "called": pa.array(labels[probabilities.argmax(1)]),
        }
        columns |= {f"probability_{name}": pa.array(probabilities[:, k]) for k, name in enumerate(labels.tolist())}
        tables.append(pa.table(columns))
    return pa.concat_tables(tables)
