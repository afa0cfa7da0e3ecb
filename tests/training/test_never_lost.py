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
from mien.training.run_folder import RunFolder
from mien.training.train import resume
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


def test_two_processes_never_train_in_one_folder(tiny_run: RunFolder, tmp_path: Path) -> None:
    tiny_run.predictions_path.rename(tmp_path / "kept")
    try:
        with FileLock(tiny_run.path / ".lock"), pytest.raises(TrainingError, match="Another process is training in"):
            resume(tiny_run)
    finally:
        (tmp_path / "kept").rename(tiny_run.predictions_path)
