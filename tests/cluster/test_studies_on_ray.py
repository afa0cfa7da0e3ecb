"""A study on a real Ray: a worker is killed in the middle of a trial, and every row is there, as without Ray."""

import threading
from pathlib import Path

import pytest
import torch

from mien.errors import ClusterError
from mien.studies.compare import make_report
from mien.studies.engine import LocalEngine, StudyWatcher
from mien.studies.folder import StudyFolder, begin
from mien.studies.job import Job, Outcome
from mien.studies.run import run_study
from mien.training.run_folder import RunFolder
from mien.training.watcher import EpochMetrics, Watcher
from tests.cluster.conftest import kill_who_holds
from tests.small_study import small_study

pytestmark = pytest.mark.usefixtures("cluster")


class Heard(StudyWatcher):
    """Notes the epochs and what becomes of each training."""

    def __init__(self) -> None:
        self.epochs: dict[str, list[int]] = {}
        self.ended: dict[str, Outcome] = {}

    def on_begin(self, job: Job) -> Watcher:
        epochs = self.epochs.setdefault(job.name, [])

        class Note(Watcher):
            def on_epoch(self, metrics: EpochMetrics) -> None:
                epochs.append(metrics.epoch)

        return Note()

    def on_end(self, job: Job, outcome: Outcome) -> None:
        self.ended[job.name] = outcome


def _weights(folder: StudyFolder, run: str) -> dict[str, torch.Tensor]:
    return RunFolder(folder.path / "runs" / run).network().state_dict()


def test_a_killed_worker_costs_no_row_and_changes_no_number(faceset_folder: Path, tmp_path: Path) -> None:
    from mien.cluster.engine import RayEngine

    epochs = 16
    variants = {
        "slow": {"set": {"optimiser.lr": 0.01, "epochs": epochs}},
        "fast": {"set": {"epochs": epochs, "resources.memory_gb": 0.5}},
        "hopeless": {"set": {"optimiser.lr": 1e4}},
    }
    study = small_study(tmp_path / "tiny.yaml", variants=variants)
    local, spread = (begin(tmp_path / name, study, data=faceset_folder) for name in ("local", "spread"))
    heard = Heard()
    killed: list[int] = []

    def kill() -> None:
        run = spread.path / "runs" / "slow"
        metrics = run / "metrics.csv"
        killed.append(
            kill_who_holds(run / ".lock", ready=lambda: metrics.exists() and metrics.read_text().count("\n") > 4)
        )

    killer = threading.Thread(target=kill)
    killer.start()
    left = run_study(spread, engine=RayEngine(spread.path / "ray"), threads=1, watcher=heard)
    killer.join()
    assert killed, "the worker was killed in the middle of its trial"
    assert [job.name for job in left] == ["hopeless"]
    assert heard.ended == {"slow": Outcome.FINISHED, "fast": Outcome.FINISHED, "hopeless": Outcome.FAILED}
    assert heard.epochs["fast"] == [*range(1, epochs + 1)]
    assert set(heard.epochs["slow"]) == {*range(1, epochs + 1)}, "and some of them twice"
    assert heard.epochs["hopeless"] == [1, 2, 3], "each is shown once"
    assert spread.state(spread.trainings[2]).startswith("failed: The validation loss became")

    threads = torch.get_num_threads()
    try:
        run_study(local, engine=LocalEngine(), threads=1)
    finally:
        torch.set_num_threads(threads)
    for run in ("slow", "fast", "fast-after-2"):
        there, here = _weights(spread, run), _weights(local, run)
        assert all(torch.equal(value, there[name]) for name, value in here.items()), run
    assert make_report(spread).tables == make_report(local).tables


def test_a_training_takes_what_its_recipe_says(faceset_folder: Path, tmp_path: Path) -> None:
    from mien.cluster.engine import RayEngine, resources_of

    own = {"resources.threads": 1, "resources.gpus": 0, "resources.memory_gb": 0.5}
    variants = {
        "own": {"set": own},
        "plain": {"set": {"resources.gpus": 0}},
        "large": {"set": {"resources.memory_gb": 10_000}},
    }
    study = small_study(tmp_path / "tiny.yaml", variants=variants, tables=[], comparisons=[])
    folder = begin(tmp_path / "s", study, data=faceset_folder)
    jobs = folder.jobs(threads=2)
    assert [resources_of(job) for job in jobs[:2]] == [{"CPU": 1, "memory": 5e8}, {"CPU": 2}]
    with pytest.raises(ClusterError, match="large asks for resources.memory_gb = 10000, and no machine of the cluster"):
        run_study(folder, engine=RayEngine(folder.path / "ray"), threads=1)
    assert not any(job.path.exists() for job in jobs), "it is said before anything is trained"


def test_a_training_that_lags_behind_is_given_up_and_named(faceset_folder: Path, tmp_path: Path) -> None:
    from mien.cluster.engine import RayEngine

    adam = {"epochs": 6, "optimiser.name": "adam"}
    variants = {"good": {"set": adam | {"optimiser.lr": 0.01}}, "bad": {"set": adam | {"optimiser.lr": 1e-7}}}
    study = small_study(tmp_path / "tiny.yaml", variants=variants, tables=[], comparisons=[])
    folder = begin(tmp_path / "s", study, data=faceset_folder)
    heard = Heard()
    engine = RayEngine(folder.path / "ray", stop_hopeless=True)
    (left,) = run_study(folder, engine=engine, threads=2, watcher=heard)  # both workers for one: the good one first
    assert heard.ended == {"good": Outcome.FINISHED, "bad": Outcome.GIVEN_UP}
    assert len(heard.epochs["bad"]) < 6
    state = folder.state(folder.trainings[1])
    assert state.startswith(f"given up: after {heard.epochs['bad'][-1]} of 6 epochs it was at")
    assert run_study(folder, engine=LocalEngine()) == [], "it can still be trained to its end"
    assert folder.state(folder.trainings[1]) == "finished"
