"""A real training, killed with SIGKILL at random moments, ends with the very weights of one that was left alone."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from mien.errors import TrainingError
from mien.training.callbacks import EpochMetrics, Watcher
from mien.training.recipe import load_recipe
from mien.training.run_folder import RunFolder
from mien.training.train import resume, train
from tests.conftest import TINY

EPOCHS = 120


def _start(arguments: list[str], threads: int, log: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "mien", "train", *arguments]
    with log.open("ab") as file:
        return subprocess.Popen(command, env=environment, stdout=file, stderr=file)


def _wait_for_epoch(run: Path, epoch: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until metrics.csv has a row for the epoch, or the process has ended."""
    metrics = run / "metrics.csv"
    while process.poll() is None and not (metrics.exists() and len(metrics.read_text().splitlines()) > epoch):
        time.sleep(0.002)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_killed_five_times_ends_with_the_same_weights(faceset_folder: Path, tmp_path: Path, threads: int) -> None:
    settings = [*TINY, f"epochs={EPOCHS}", "precision=fp32", "augmentation.cutout_px=8", "augmentation.mixup_alpha=0.2"]
    arguments = ["mien-s", "--data", str(faceset_folder), "--out", str(tmp_path)]
    arguments += [word for setting in settings for word in ("--set", setting)]
    log = tmp_path / "log.txt"
    whole = _start(arguments, threads, log)
    assert whole.wait() == 0, log.read_text()

    draws = random.Random(threads)
    killed = tmp_path / "tiny-002"
    kills = sorted(draws.sample(range(1, EPOCHS - 10), 5))
    for number, epoch in enumerate(kills):
        process = _start(arguments if number == 0 else ["--resume", str(killed)], threads, log)
        _wait_for_epoch(killed, epoch, process)
        time.sleep(draws.uniform(0, 0.03))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, log.read_text()
        assert not (killed / "predictions.parquet").exists()
    last = _start(["--resume", str(killed)], threads, log)
    assert last.wait() == 0, log.read_text()

    expected, found = (
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
        for folder in (tmp_path / "tiny-001", killed)
    )
    for state in ("state_dict", "current_model_state"):
        for name, value in expected[state].items():
            assert torch.equal(value, found[state][name]), f"{state} {name}"
    assert [row["epoch"] for row in RunFolder(killed).metrics()] == [str(n) for n in range(1, EPOCHS + 1)]
    for column in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"):
        rows = [[row[column] for row in RunFolder(folder).metrics()] for folder in (tmp_path / "tiny-001", killed)]
        assert rows[0] == rows[1], column
    assert not list(killed.rglob("*.part*")), "what was half-written at a kill is cleared away"


TRAIN_WITH_A_FULL_DISK = """
import resource, signal, sys
from mien.apps.cli.main import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
main()
"""


# In bytes: the learning curves do not fit, the checkpoint does not fit.
@pytest.mark.parametrize("limit", [20_000, 120_000])
def test_a_full_disk_leaves_the_last_checkpoint_and_says_how_to_go_on(
    faceset_folder: Path, tmp_path: Path, limit: int
) -> None:
    settings = [word for setting in [*TINY, "epochs=4"] for word in ("--set", setting)]
    run = tmp_path / "tiny-001"
    first = _start(["mien-s", "--data", str(faceset_folder), "--out", str(tmp_path), *settings], 1, tmp_path / "log")
    _wait_for_epoch(run, 1, first)
    first.send_signal(signal.SIGINT)
    assert first.wait() == 130
    before = (run / "checkpoints" / "last.ckpt").read_bytes()
    command = [sys.executable, "-c", TRAIN_WITH_A_FULL_DISK, str(limit), "train", "--resume", str(run)]
    full = subprocess.run(command, capture_output=True, text=True)
    assert full.returncode == 2
    sentence = full.stderr.splitlines()[-1]
    assert sentence.startswith(f"mien: Cannot write {run}/")
    assert sentence.endswith(f"The last whole checkpoint is kept; make room and go on with: mien train --resume {run}")
    assert (run / "checkpoints" / "last.ckpt").read_bytes() == before
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["last.ckpt"]
    assert resume(RunFolder(run)).finished


def test_memory_stays_flat_over_epochs(faceset_folder: Path, tmp_path: Path) -> None:
    resident_kb: list[int] = []

    class Weigh(Watcher):
        def on_epoch(self, metrics: EpochMetrics) -> None:
            status = Path("/proc/self/status").read_text()
            resident_kb.append(int(status.split("VmRSS:")[1].split()[0]))

    if not Path("/proc/self/status").is_file():
        pytest.skip("needs /proc to weigh the process")
    train(load_recipe("mien-s", [*TINY, "epochs=60"]), data=faceset_folder, out=tmp_path, watcher=Weigh())
    grown_kb = resident_kb[-1] - resident_kb[20]
    assert grown_kb < 8_000, "the faces alone are 480 kB: keeping an epoch's inputs would add 43 MB"


def test_two_processes_never_train_in_one_folder(tiny_run: RunFolder, tmp_path: Path) -> None:
    tiny_run.predictions_path.rename(tmp_path / "kept")
    try:
        with FileLock(tiny_run.path / ".lock"), pytest.raises(TrainingError, match="Another process is training in"):
            resume(tiny_run)
    finally:
        (tmp_path / "kept").rename(tiny_run.predictions_path)
