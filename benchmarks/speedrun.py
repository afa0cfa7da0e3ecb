"""How long until a network is good: wall and CPU time from a cold start to an accuracy on PublicTest.

    python benchmarks/speedrun.py FACESET [--recipe mien-s] [--target 0.70] [--runs 3] [--set KEY=VALUE ...]

Each run is `mien train` in a process of its own, with another seed, stopped at the end of the first epoch whose
validation accuracy (single view, running mean of the weights) reaches the target. Imports, the reading of the faces and
validation count. A run that never gets there says how far it came. Run it on a quiet machine.
"""

import argparse
import csv
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

POLL_S = 0.5


def best_accuracy(run: Path) -> tuple[int, float]:
    """Return the epochs so far and the best validation accuracy among them."""
    metrics = run / "metrics.csv"
    if not metrics.is_file():
        return 0, 0.0
    with metrics.open(newline="") as file:
        accuracies = [float(row["validation_accuracy"]) for row in csv.DictReader(file)]
    return len(accuracies), max(accuracies, default=0.0)


def race(faceset: Path, recipe: str, settings: list[str], target: float) -> tuple[float, float, int, float]:
    """Return wall seconds, CPU seconds, epochs and the best accuracy of one run, stopped once it reaches the target."""
    with tempfile.TemporaryDirectory() as out:
        words = [word for setting in settings for word in ("--set", setting)]
        command = [sys.executable, "-m", "mien", "train", recipe, "--data", str(faceset), "--out", out, *words]
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        epochs, accuracy, ended = 0, 0.0, 0
        while not ended:
            time.sleep(POLL_S)
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            for run in Path(out).glob("*-001"):
                epochs, accuracy = best_accuracy(run)
            if accuracy >= target and not ended:
                process.kill()
        if status and accuracy < target:
            raise SystemExit(f"{shlex.join(command)} has failed; try it by itself to see why.")
        return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, epochs, accuracy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("faceset", type=Path)
    parser.add_argument("--recipe", default="mien-s")
    parser.add_argument("--target", type=float, default=0.70)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    asked = parser.parse_args()
    table = Table("seed", "reached", "epochs", "best", "wall min", "CPU min")
    table.title = f"{asked.recipe} to {asked.target} on PublicTest, {torch.get_num_threads()} threads, torch "
    table.title += f"{torch.__version__}, {platform.machine()}"
    walls = []
    for seed in range(asked.runs):
        wall_s, cpu_s, epochs, best = race(asked.faceset, asked.recipe, [*asked.settings, f"seed={seed}"], asked.target)
        reached = best >= asked.target
        if reached:
            walls.append(wall_s / 60)
        table.add_row(
            str(seed),
            "yes" if reached else "no",
            str(epochs),
            f"{best:.4f}",
            f"{wall_s / 60:.1f}",
            f"{cpu_s / 60:.2f}",
        )
    console = Console()
    console.print(table)
    if len(walls) > 1:
        console.print(
            f"wall minutes: mean {statistics.mean(walls):.1f}, sd {statistics.stdev(walls):.1f}, n {len(walls)}"
        )


if __name__ == "__main__":
    main()
