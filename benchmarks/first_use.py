"""What a user waits for first: cold start, import, preparing FER2013, opening it.

    python benchmarks/first_use.py [FER2013.csv.gz]

Whole processes, one warm-up, then seven counted runs of each; prints median, minimum and maximum of the wall time
and the peak memory. Run it on a quiet machine.
"""

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
from demo import sample_photo

RUNS = 7
MIEN = str(Path(sys.executable).parent / "mien")


def measure(command: list[str], runs: int = RUNS) -> tuple[list[float], float]:
    """Return the wall times in seconds of `runs` runs after a warm-up, and the largest peak memory in MB."""
    seconds, peak_kb = [], 0
    for run in range(runs + 1):
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            raise SystemExit(f"{' '.join(command)} failed")
        if run:
            seconds.append(time.perf_counter() - started)
            peak_kb = max(peak_kb, usage.ru_maxrss)
    return seconds, peak_kb / 1000


def main() -> None:
    table = Table("what", "median s", "min", "max", "peak MB", title=f"{platform.machine()}, {os.cpu_count()} cores")

    def row(what: str, command: list[str], runs: int = RUNS) -> None:
        seconds, peak = measure(command, runs)
        numbers = (statistics.median(seconds), min(seconds), max(seconds))
        table.add_row(what, *(f"{value:.2f}" for value in numbers), f"{peak:.0f}")

    row("python -c pass", [sys.executable, "-c", "pass"])
    row("import mien", [sys.executable, "-c", "import mien"])
    row("mien read photo", [MIEN, "read", str(sample_photo())])
    if len(sys.argv) > 1:
        with tempfile.TemporaryDirectory() as folder:
            faceset = Path(folder) / "fer2013.faceset"
            prepare = f"rm -rf {faceset} && {MIEN} data prepare {sys.argv[1]} --out {faceset}"
            row("mien data prepare", ["sh", "-c", prepare], runs=3)
            from_disk = "from pathlib import Path; from mien.data.faceset import open_faceset"
            row("import what opens a FaceSet", [sys.executable, "-c", from_disk])
            row("the same, and open it", [sys.executable, "-c", f"{from_disk}; open_faceset(Path({str(faceset)!r}))"])
    Console().print(table)


if __name__ == "__main__":
    main()
