"""What another busy program costs a training, with threads that spin while they wait and with threads that sleep.

    python benchmarks/busy_machine.py FACESET [RECIPE] [--rounds 3]

`mien train` asks OpenMP for the second (`OMP_WAIT_POLICY=passive`); the first is what libgomp does unasked. Measured
are faces/s of the second epoch, each in a process of its own, in turn, several times over; medians are printed. The
other program is an endless loop of one thread at the same priority. Run it on a machine that is quiet otherwise.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from mien.data.faceset import open_faceset
from mien.training.run_folder import RunFolder

MIEN = str(Path(sys.executable).parent / "mien")
FACES = 12 * 256
SPINNING, SLEEPING = "300000", "0"  # GOMP_SPINCOUNT: libgomp's default, and what OMP_WAIT_POLICY=passive stands for


@contextmanager
def another_program() -> Iterator[None]:
    """Keep one core busy."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def faces_per_s(faceset: Path, recipe: str, spins: str) -> float:
    """Return the rate of the second epoch of `mien train`."""
    with tempfile.TemporaryDirectory() as folder:
        command = [MIEN, "train", recipe, "--data", str(faceset), "--out", folder, "--set", "epochs=2"]
        command += ["--set", "name=timed", "--set", "teachers=[]", "--set", "targets.teacher_share=0"]
        subprocess.run(command, env=os.environ | {"GOMP_SPINCOUNT": spins}, check=True, capture_output=True)
        return float(RunFolder(Path(folder) / "timed-001").metrics()[-1]["faces_per_s"])


def main(faceset: Path, recipe: str, number_of_rounds: int) -> None:
    """Measure and print the table."""
    console = Console()
    faces = open_faceset(faceset)
    small = faces.take(np.r_[np.flatnonzero(faces.splits == 0)[:FACES], np.flatnonzero(faces.splits == 1)[:256]])
    surroundings = {"alone": nullcontext, "beside a busy program": another_program}
    rates = {(name, spins): list[float]() for name in surroundings for spins in (SPINNING, SLEEPING)}
    with tempfile.TemporaryDirectory() as folder:
        small.save(Path(folder) / "faces.faceset")
        for number in range(number_of_rounds):
            console.print(f"round {number + 1} of {number_of_rounds} …")
            for (name, spins), rate in rates.items():
                with surroundings[name]():
                    rate.append(faces_per_s(Path(folder) / "faces.faceset", recipe, spins))
    table = Table(Path(recipe).stem, "spinning", "sleeping", "sleeping / spinning")
    table.title = f"faces/s, medians of {number_of_rounds}, {torch.get_num_threads()} threads"
    for name in surroundings:
        spinning, sleeping = (rates[name, spins] for spins in (SPINNING, SLEEPING))
        times = statistics.median(ours / theirs for ours, theirs in zip(sleeping, spinning, strict=True))
        table.add_row(name, *(f"{statistics.median(rate):,.0f}" for rate in (spinning, sleeping)), f"{times:.2f}")
    console.print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("faceset", type=Path)
    parser.add_argument("recipe", nargs="?", default="mien-s")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    main(given.faceset, given.recipe, given.rounds)
