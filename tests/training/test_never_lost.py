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
from mien.training.recipe_files import load_recipe
from mien.training.run_folder import RunFolder
from mien.training.train import resume, train
from tests.conftest import TINY

EPOCHS = 48


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


@pytest.mark.parametrize(
    ("threads", "kills", "settings"),
    [
        (1, 5, ["augmentation.mixup_alpha=0.2"]),
        (2, 2, ["optimiser={name: adam, lr: 0.002}", "schedule={name: plateau, warmup: 0, patience: 1, factor: 0.7}"]),
    ],
)
def test_a_run_killed_at_any_time_ends_with_the_same_weights(
    faceset_folder: Path, tmp_path: Path, threads: int, kills: int, settings: list[str]
) -> None:
    settings = [*TINY, f"epochs={EPOCHS}", "precision=fp32", "augmentation.cutout_px=8", *settings]
    arguments = ["mien-s", "--data", str(faceset_folder), "--out", str(tmp_path)]
    arguments += [word for setting in settings for word in ("--set", setting)]
    log = tmp_path / "log.txt"
    began = time.perf_counter()
    whole = _start(arguments, threads, log)
    assert whole.wait() == 0, log.read_text()
    took_s = time.perf_counter() - began

    draws = random.Random(threads)
    killed = tmp_path / "tiny-002"
    epochs = sorted(draws.sample(range(1, EPOCHS - 10), kills - 1))
    for epoch in [None, *epochs]:
        process = _start(["--resume", str(killed)] if killed.is_dir() else arguments, threads, log)
        if epoch is None:  # at any time, most likely before the first step
            time.sleep(draws.uniform(0, 0.7 * took_s))
        else:
            _wait_for_epoch(killed, epoch, process)
            time.sleep(draws.uniform(0, 0.03))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, log.read_text()
        assert not (killed / "predictions.parquet").exists()
    last = _start(["--resume", str(killed)], threads, log)
    assert last.wait() == 0, log.read_text()

    _assert_the_same(tmp_path / "tiny-001", killed)


def test_a_run_killed_in_its_teachers_and_in_itself_ends_with_the_same_weights(
    faceset_folder: Path, tmp_path: Path
) -> None:
    few = [*TINY, "epochs=12", "precision=fp32"]
    teacher = tmp_path / "teacher.yaml"
    teacher.write_text(load_recipe("mien-s", [*few, "name=teacher"]).to_yaml())
    settings = [*few, f"teachers=[{teacher}]", "folds=2"]
    arguments = ["mien-s", "--data", str(faceset_folder), "--out", str(tmp_path)]
    arguments += [word for setting in settings for word in ("--set", setting)]
    log = tmp_path / "log.txt"
    torch.set_num_threads(1)
    train(load_recipe("mien-s", settings), data=faceset_folder, out=tmp_path)

    killed, draws = tmp_path / "tiny-002", random.Random(0)
    for part in (killed / "teachers" / "teacher-fold-1-of-2", killed / "teachers" / "teacher-fold-2-of-2", killed):
        process = _start(["--resume", str(killed)] if killed.is_dir() else arguments, 1, log)
        _wait_for_epoch(part, draws.randrange(1, 9), process)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, log.read_text()
    assert _start(["--resume", str(killed)], 1, log).wait() == 0, log.read_text()
    _assert_the_same(tmp_path / "tiny-001", killed)
    assert (killed / "answers.npy").read_bytes() == (tmp_path / "tiny-001" / "answers.npy").read_bytes()


def _assert_the_same(whole: Path, killed: Path) -> None:
    expected, found = (torch.load(run / "checkpoints" / "last.ckpt", weights_only=True) for run in (whole, killed))
    for state in ("state_dict", "current_model_state"):
        for name, value in expected[state].items():
            assert torch.equal(value, found[state][name]), f"{state} {name}"
    for column in ("epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy"):
        rows = [[row[column] for row in RunFolder(run).metrics()] for run in (whole, killed)]
        assert rows[0] == rows[1], column
    assert len(RunFolder(killed).metrics()) == RunFolder(killed).recipe.epochs
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
@pytest.mark.parametrize(("limit", "stop"), [(20_000, signal.SIGINT), (120_000, signal.SIGTERM)])
def test_a_full_disk_leaves_the_last_checkpoint_and_says_how_to_go_on(
    faceset_folder: Path, tmp_path: Path, limit: int, stop: signal.Signals
) -> None:
    settings = [word for setting in [*TINY, "epochs=12"] for word in ("--set", setting)]
    run = tmp_path / "tiny-001"
    first = _start(["mien-s", "--data", str(faceset_folder), "--out", str(tmp_path), *settings], 1, tmp_path / "log")
    _wait_for_epoch(run, 1, first)
    first.send_signal(stop)
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


def test_a_disk_that_is_full_from_the_start_leaves_no_folder(faceset_folder: Path, tmp_path: Path) -> None:
    settings = [word for setting in TINY for word in ("--set", setting)]
    command = [sys.executable, "-c", TRAIN_WITH_A_FULL_DISK, "500", "train", "mien-s", "--data", str(faceset_folder)]
    full = subprocess.run([*command, "--out", str(tmp_path / "runs"), *settings], capture_output=True, text=True)
    assert full.returncode == 2
    assert full.stderr.splitlines()[-1] == f"mien: Cannot write {tmp_path}/runs/tiny-001: File too large."
    assert not list((tmp_path / "runs").iterdir())


def test_what_a_killed_process_had_half_written_is_cleared_away(faceset_folder: Path, tmp_path: Path) -> None:
    run = train(load_recipe("mien-s", [*TINY, "epochs=1"]), data=faceset_folder, out=tmp_path)
    run.predictions_path.unlink()
    (run.path / ".metrics.1.part.csv").touch()
    (run.path / "teachers" / ".teacher.1.part").mkdir(parents=True)
    resume(run)
    assert not list(run.path.rglob("*.part*"))


WEIGH = """
import sys
from pathlib import Path
from mien.training.recipe_files import load_recipe
from mien.training.train import train
from mien.training.watcher import Watcher

data, out, *settings = sys.argv[1:]
resident_kb = []

class Weigh(Watcher):
    def on_epoch(self, metrics):
        resident_kb.append(int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]))

train(load_recipe("mien-s", settings), data=Path(data), out=Path(out), watcher=Weigh())
print(resident_kb[-1] - resident_kb[20])
"""


def test_memory_stays_flat_over_epochs(faceset_folder: Path, tmp_path: Path) -> None:
    """In a process of its own: this one may have memory to spare from before, in which a leak would not show."""
    if not Path("/proc/self/status").is_file():
        pytest.skip("needs /proc to weigh the process")
    command = [sys.executable, "-c", WEIGH, str(faceset_folder), str(tmp_path), *TINY, "epochs=60"]
    grown_kb = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert grown_kb < 20_000, "keeping an epoch's inputs would add 43 MB; 13 were seen on a busy machine"


def test_two_processes_never_train_in_one_folder(tiny_run: RunFolder, tmp_path: Path) -> None:
    tiny_run.predictions_path.rename(tmp_path / "kept")
    try:
        with FileLock(tiny_run.path / ".lock"), pytest.raises(TrainingError, match="Another process is training in"):
            resume(tiny_run)
    finally:
        (tmp_path / "kept").rename(tiny_run.predictions_path)
