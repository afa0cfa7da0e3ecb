"""Several processes train one network; here two on loopback, as `mien train --devices 2` and as two machines would."""

import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mien.data.faceset import FaceSet
from mien.errors import TrainingError
from mien.training.batches import TrainingBatches
from mien.training.callbacks import EpochOrder
from mien.training.parallel import Parallel, SameStart, check_agreement
from mien.training.recipe_files import load_recipe
from mien.training.run_folder import RunFolder
from mien.training.train import train
from tests.conftest import PLAIN, ROOT, TINY

RECIPE = load_recipe("mien-s", TINY)
SETTINGS = [*TINY, "epochs=8", "batch_size=36"]


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("MASTER_ADDR", "MASTER_PORT")}
    return kept | {"OMP_NUM_THREADS": "1"}


def test_each_process_learns_from_its_part_of_every_batch(faceset: FaceSet) -> None:
    learn = faceset.split("Training")

    def first_batch(rank: int, processes: int) -> Tensor:
        batches = TrainingBatches(
            learn.faces_u8, np.eye(7, dtype=np.float32)[learn.labels], batch_size=20, seed=0, flip="none"
        )
        trainer = SimpleNamespace(global_rank=rank, world_size=processes, current_epoch=0)
        order = EpochOrder(batches)
        order.on_train_start(cast(Any, trainer), cast(Any, None))
        order.on_train_epoch_start(cast(Any, trainer), cast(Any, None))
        return next(iter(batches)).faces_u8

    whole, parts = first_batch(0, 1), [first_batch(rank, 2) for rank in range(2)]
    assert [len(part) for part in parts] == [10, 10]
    assert torch.equal(torch.stack(parts, dim=1).flatten(0, 1), whole)


def test_a_training_ends_with_the_question_whether_all_agree(
    faceset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[nn.Module] = []
    monkeypatch.setattr("mien.training.fit.check_agreement", lambda trainer, network: asked.append(network))
    train(load_recipe("mien-s", [*TINY, "epochs=1"]), data=faceset_folder, out=tmp_path)
    assert len(asked) == 1


def test_two_processes_learn_what_one_does_and_end_with_the_same_weights(faceset_folder: Path, tmp_path: Path) -> None:
    """`check_agreement` would end the run with an error if theirs differed; the last test shows that it can."""
    settings = [*PLAIN, "batch_size=36", "epochs=2"]
    train(load_recipe("mien-s", settings), data=faceset_folder, out=tmp_path)
    command = [sys.executable, "-m", "mien", "train", "mien-s", "--data", str(faceset_folder), "--out", str(tmp_path)]
    command += ["--devices", "2", *(word for setting in settings for word in ("--set", setting))]
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny-001", "tiny-002"], "only the leader keeps a run"
    one, two = (RunFolder(tmp_path / name) for name in ("tiny-001", "tiny-002"))
    assert len(two.metrics()) == 2
    weights = two.network().state_dict()
    for name, weight in one.network().state_dict().items():
        torch.testing.assert_close(weights[name], weight, atol=1e-5, rtol=1e-4)


def test_the_documents_two_commands_train_on_two_machines(faceset_folder: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        here = f"127.0.0.1:{free.getsockname()[1]}"
    page = (ROOT / "docs" / "training.md").read_text()
    commands = re.findall(r"^mien (train .*--leader) \S+$", page, re.MULTILINE)
    assert len(commands) == 2
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    machines = []
    for name, command in zip(("first", "second"), commands, strict=True):
        (tmp_path / name).mkdir()
        (tmp_path / name / "fer2013.faceset").symlink_to(faceset_folder)
        machines.append(
            subprocess.Popen(
                [sys.executable, "-m", "mien", *shlex.split(command), here, *settings],
                cwd=tmp_path / name,
                env=_environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    printed = [machine.communicate(timeout=300)[0] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], printed
    assert RunFolder(tmp_path / "first" / "runs" / "tiny-001").finished
    assert not (tmp_path / "second" / "runs").exists(), "the second machine keeps nothing"
    assert "epoch   8" in printed[0]
    assert "epoch   8" not in printed[1]


@pytest.mark.parametrize(
    ("parallel", "changes", "words"),
    [
        (Parallel(nodes=2), [], "--nodes 2 needs --leader HOST:PORT"),
        (Parallel(nodes=2, node=2, leader="a:1"), [], "--node is 0 to 1 with --nodes 2; got 2"),
        (Parallel(node=1), [], "--node is 0 to 0 with --nodes 1; got 1. Say on every machine how many there are"),
        (Parallel(nodes=2, leader="first"), [], r"--leader is HOST:PORT, as in 192.168.1.10:29500; got first"),
        (Parallel(devices=3), ["batch_size=35"], "3 processes cannot share a batch of 35"),
        (
            Parallel(devices=2),
            ["batch_size=256"],
            "2 processes cannot share a batch of 141 evenly, and there are 141 faces",
        ),
        (Parallel(devices=2), ["batch_size=2"], "two faces in each process, .* 2 processes share 2 faces"),
        (Parallel(devices=2), ["batch_size=36", "teachers=[mien-s]"], "Teachers are trained by one process"),
    ],
)
def test_what_cannot_be_spread(parallel: Parallel, changes: list[str], words: str) -> None:
    with pytest.raises(TrainingError, match=words):
        parallel.check(load_recipe("mien-s", [*TINY, *changes]), 141)
    Parallel().check(RECIPE, 141)


def test_processes_that_do_not_start_alike_are_noticed() -> None:
    def trainer(others: SameStart) -> Any:
        theirs = torch.tensor([*others._hashes, others._precision])
        return SimpleNamespace(world_size=2, strategy=SimpleNamespace(all_gather=lambda x: torch.stack([x, theirs])))

    ours = SameStart("a1" * 32, "b1" * 32, "fp32")
    ours.on_fit_start(trainer(SameStart("a1" * 32, "b1" * 32, "fp32")), nn.Linear(1, 1))
    for theirs in (
        SameStart("a2" * 32, "b1" * 32, "fp32"),
        SameStart("a1" * 32, "b2" * 32, "fp32"),
        SameStart("a1" * 32, "b1" * 32, "bf16"),
    ):
        with pytest.raises(TrainingError, match="The machines do not start alike"):
            ours.on_fit_start(trainer(theirs), nn.Linear(1, 1))


def test_different_weights_are_noticed() -> None:
    network = nn.Linear(2, 2)

    def trainer(change: float) -> Any:
        strategy = SimpleNamespace(all_gather=lambda x: torch.stack([x, x + change]))
        return SimpleNamespace(world_size=2, strategy=strategy)

    check_agreement(trainer(0.0), network)
    with pytest.raises(TrainingError, match="The 2 processes ended with different weights"):
        check_agreement(trainer(1e-9), network)
