"""A study's trainings over a cluster: Ray Tune, one trial a training.

A trial whose worker dies is begun again, and its run folder goes on where it was. So the run folders must lie where
every machine sees them under one path.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from ray import tune
from ray.exceptions import RayTaskError
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler

from mien.cluster.connection import connected, last_line, most
from mien.errors import ClusterError, TrainingStopped
from mien.studies.engine import StudyWatcher
from mien.studies.job import Job, Outcome, carry_out
from mien.training.run_folder import RunFolder
from mien.training.watcher import EpochMetrics, Watcher
from mien.words import counted

RETRIES = 3  # of a training whose worker died
GRACE = 10  # `stop_hopeless` looks first when a tenth of the epochs are done, then each time they have doubled
SCORE, TIME = "validation_accuracy", "epoch"


class RayEngine:
    """Spreads trainings over the machines of a Ray cluster."""

    def __init__(self, storage: Path, *, address: str | None = None, stop_hopeless: bool = False) -> None:
        """Prepare.

        Args:
            storage: Folder for what Tune writes down of its trials.
            address: Of the cluster; None for this machine alone.
            stop_hopeless: Whether those of the worse half by then are ended after a tenth of the epochs, and each time
                they have doubled (ASHA, Li et al. 2020).
        """
        self._storage = storage
        self._address = address
        self._stop_hopeless = stop_hopeless

    def carry_out(self, jobs: Sequence[Job], watcher: StudyWatcher) -> None:
        """Carry out each of them, as many at once as there is room for.

        Raises:
            ClusterError: There is no cluster at the address.
            TrainingStopped: Ctrl-C.
        """
        if not jobs:
            return
        by_name = {job.name: _anywhere(job) for job in jobs}
        with connected(self._address):
            resources = {name: resources_of(job) for name, job in by_name.items()}
            told = Told(by_name, watcher)
            tuner = tune.Tuner(
                tune.with_resources(
                    tune.with_parameters(_trial, jobs=by_name, folder=Path.cwd()),
                    lambda config: tune.PlacementGroupFactory([resources[config["name"]]]),
                ),
                param_space={"name": tune.grid_search(list(by_name))},
                tune_config=tune.TuneConfig(
                    scheduler=self._scheduler(jobs),
                    trial_name_creator=_name_of,
                    trial_dirname_creator=_name_of,
                    reuse_actors=True,  # a worker takes seconds to import torch
                ),
                run_config=tune.RunConfig(
                    name="trials",
                    storage_path=str(self._storage.resolve()),
                    failure_config=tune.FailureConfig(max_failures=RETRIES),
                    callbacks=[told],
                    verbose=0,
                ),
            )
            tuner.fit()
        if told.waiting:
            raise TrainingStopped(f"Stopped: {counted(len(told.waiting), 'training')}.")

    def _scheduler(self, jobs: Sequence[Job]) -> TrialScheduler:
        if not self._stop_hopeless:
            return FIFOScheduler()
        longest = max(job.recipe.epochs for job in jobs)
        return AsyncHyperBandScheduler(
            time_attr=TIME,
            metric=SCORE,
            mode="max",
            max_t=longest + 1,
            grace_period=max(1, longest // GRACE),
            reduction_factor=2,
        )


def resources_of(job: Job) -> dict[str, float]:
    """Return what a training takes of one machine of the cluster, by its recipe; threads not more than there are.

    Raises:
        ClusterError: No machine has so much memory or so many GPUs.
    """
    wanted = job.recipe.resources
    gpus = float(most("GPU") > 0) if wanted.gpus is None else wanted.gpus
    taken = {"CPU": max(1.0, min(job.threads, most("CPU"))), "GPU": gpus, "memory": 1e9 * (wanted.memory_gb or 0)}
    for name, unit, key in (("memory", 1e9, "memory_gb"), ("GPU", 1, "gpus")):
        if taken[name] > most(name):
            raise ClusterError(
                f"{job.name} asks for resources.{key} = {taken[name] / unit:g}, and no machine of the cluster has more "
                f"than {most(name) / unit:.3g}; add one, or ask for less."
            )
    return {name: amount for name, amount in taken.items() if amount}


def _anywhere(job: Job) -> Job:
    """Return the job with paths that mean the same in every folder."""
    return replace(job, path=job.path.resolve(), data=job.data.resolve(), problem_path=job.problem_path.resolve())


def _name_of(trial: Any) -> str:
    return str(trial.config["name"])


class Reporting(Watcher):
    """Tells Tune of each epoch but the last: a training that has come so far is not ended any more."""

    def __init__(self, job: Job) -> None:
        """Take the training."""
        self._job = job

    def on_epoch(self, metrics: EpochMetrics) -> None:
        """Report, and wait for leave to go on."""
        if metrics.epoch < self._job.recipe.epochs:
            tune.report(asdict(metrics))


def _trial(config: Mapping[str, str], jobs: Mapping[str, Job], folder: Path) -> None:
    """Carry out one training in a worker, from the folder in which a recipe's file names mean something."""
    os.chdir(folder)
    job = jobs[config["name"]]
    outcome = carry_out(job, Reporting(job))
    rows = RunFolder(job.path).metrics() if job.path.is_dir() else []
    last = {name: float(value) for name, value in rows[-1].items()} if rows else {SCORE: 0.0, TIME: 0}
    tune.report(last | {"outcome": str(outcome)})


class Told(tune.Callback):
    """Passes on what trials report.

    Attributes:
        waiting: Names of the trainings that nothing has become of yet.
    """

    def __init__(self, jobs: Mapping[str, Job], watcher: StudyWatcher) -> None:
        """Take the trainings and who hears of them."""
        self.waiting = set(jobs)
        self._jobs = jobs
        self._watcher = watcher
        self._watchers: dict[str, Watcher] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune writes its callbacks down, to go on by; we go on by the run folders."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Hear of a training that begins, or begins again."""
        name = _name_of(trial)
        if name not in self._watchers:
            self._watchers[name] = self._watcher.on_begin(self._jobs[name])

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Hear of an epoch, or of the end."""
        name = _name_of(trial)
        columns = [field.name for field in fields(EpochMetrics)]
        going_well = result.get("outcome", Outcome.FINISHED) == Outcome.FINISHED  # else its last epoch was shown before
        if going_well and set(columns) <= set(result):
            values = {column: result[column] for column in columns}
            self._watchers[name].on_epoch(EpochMetrics(**values | {"epoch": int(values["epoch"])}))
        if "outcome" in result:
            self._end(name, Outcome(result["outcome"]))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Hear of a trial that has ended; one that did not say what became of it was given up."""
        name = _name_of(trial)
        if name in self.waiting:
            result = trial.last_result
            self._jobs[name].note_problem(
                Outcome.GIVEN_UP,
                f"after {int(result[TIME])} of {counted(self._jobs[name].recipe.epochs, 'epoch')} it was at "
                f"{100 * result[SCORE]:.1f} % and lagged behind the others (--stop-hopeless).",
            )
            self._end(name, Outcome.GIVEN_UP)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Hear of a worker that died, or could not begin, too often; a training's own errors are noted by itself."""
        name = _name_of(trial)
        error = trial.get_pickled_error()
        cause = last_line(error) if isinstance(error, RayTaskError) else "its worker died"
        self._jobs[name].note_problem(Outcome.FAILED, f"{cause} ({RETRIES + 1} times).")
        self._end(name, Outcome.FAILED)

    def _end(self, name: str, outcome: Outcome) -> None:
        if name in self.waiting:
            self.waiting.remove(name)
            self._watcher.on_end(self._jobs[name], outcome)
