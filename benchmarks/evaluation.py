"""How long evaluating takes: 10,000 faces by mien-s, report and all, against the aim of 60 s on two cores.

    python benchmarks/evaluation.py FACESET

Prints the wall time of each part, once; run it on a quiet machine. The faces are Training's first 10,000, so the scores
mean nothing and are not printed.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from mien.data.faceset import open_faceset
from mien.evaluation.evaluate import evaluate
from mien.evaluation.report.write import write_report

FACES = 10_000
AIM_S = 60.0


def main() -> None:
    faces = open_faceset(Path(sys.argv[1]))
    training = np.flatnonzero(faces.splits == faces.split_names.index("Training"))[:FACES]
    if len(training) < FACES:
        raise SystemExit(f"{sys.argv[1]} has {len(training):,} Training faces; {FACES:,} are needed.")
    table = Table("part", "s", title=f"{FACES:,} faces, mien-s, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        faces.take(training).save(Path(folder) / "faces.faceset")
        started = time.perf_counter()
        judged = evaluate(["mien-s"], data=Path(folder) / "faces.faceset", split="Training")
        evaluated = time.perf_counter()
        write_report(judged, Path(folder) / "report", gallery=True)
        written = time.perf_counter()
    table.add_row("evaluate", f"{evaluated - started:.1f}")
    table.add_row("report", f"{written - evaluated:.1f}")
    table.add_row("together", f"{written - started:.1f}")
    Console().print(table)
    print(f"The aim of {AIM_S:.0f} s is {'met' if written - started <= AIM_S else 'missed'}.")


if __name__ == "__main__":
    main()
