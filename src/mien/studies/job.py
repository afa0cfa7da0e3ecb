"""One training of a study: begun, gone on with, or left; its failure noted, so that the others go on.

In: a Job, which can be sent to another process.  Out: an Outcome; the run folder, and one for each stage.
"""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import torch

from mien.errors import MienError, TrainingStopped
from mien.files import written_beside
from mien.studies.epochs import epochs_of
from mien.training.recipe import Recipe
from mien.training.run_folder import RunFolder
from mien.training.train import train_at
from mien.training.watcher import EpochMetrics, StepProgress, Watcher


class Outcome(StrEnum):
    """What became of a training."""

    FINISHED = "finished"
    FAILED = "failed"
    LEFT = "left for lack of time"
    GIVEN_UP = "given up"


@dataclass(frozen=True, slots=True)
class Job:
    """A training to be done.

    Attributes:
        name: Its name in the study.
        path: Its run folder.
        recipe: What is trained.
        data: Folder of the FaceSet.
        stages: Epochs after which its state is kept, as a run folder of its own.
        problem_path: Where a sentence is written if it fails or is given up.
        threads: Threads that torch takes.
        deadline_s: Unix time by which it must end, or else it is not begun; None for no hurry.
        epoch_s: Seconds an epoch takes, measured before; None if nobody measured.
    """

    name: str
    path: Path
    recipe: Recipe
    data: Path
    stages: tuple[int, ...]
    problem_path: Path
    threads: int
    deadline_s: float | None = None
    epoch_s: float | None = None

    @property
    def finished(self) -> bool:
        """Whether it and its stages are there; a broken one has not finished, and `carry_out` tells what is broken."""
        paths = [self.path, *map(self.stage_path, self.stages)]
        try:
            return all(path.is_dir() and RunFolder(path).finished for path in paths)
        except MienError:
            return False

    @property
    def epochs_left(self) -> int:
        """Epochs that are still to be trained."""
        return self.recipe.epochs - len(self._seconds())

    def stage_path(self, epochs: int) -> Path:
        """Return the folder of its state after so many epochs."""
        return stage_path(self.path, epochs)

    def time_left_s(self) -> float | None:
        """Return how long it will take to its end, in seconds: by its own pace, or by what was measured."""
        own = self._seconds()
        pace_s = sum(own) / len(own) if own else self.epoch_s
        return None if pace_s is None else pace_s * self.epochs_left

    def _seconds(self) -> list[float]:
        """Return how long each finished epoch took; a broken run has none, and `carry_out` tells what is broken."""
        try:
            return [epoch.seconds for epoch in epochs_of(RunFolder(self.path))] if self.path.is_dir() else []
        except MienError:
            return []

    @property
    def problem(self) -> Outcome | None:
        """Why it has not finished, where that was noted."""
        found = noted(self.problem_path)
        return found[0] if found else None

    def note_problem(self, outcome: Outcome, sentence: str) -> None:
        """Write down why it has not finished."""
        with written_beside(self.problem_path) as beside:
            beside.write_text(json.dumps({"outcome": outcome, "sentence": sentence}) + "\n", encoding="utf-8")


def noted(path: Path) -> tuple[Outcome, str] | None:
    """Return what `Job.note_problem` wrote, and the sentence; None where there is no note.

    A note that was cut off says no more than that something went wrong.
    """
    if not path.is_file():
        return None
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
        return Outcome(note["outcome"]), str(note["sentence"])
    except (OSError, ValueError, KeyError, TypeError):
        return Outcome.FAILED, f"why is not known, since {path} is broken; carry out the study again."


def stage_path(run: Path, epochs: int) -> Path:
    """Return the folder of a run's state after so many epochs: beside it, a run folder like any other."""
    return run.with_name(f"{run.name}-after-{epochs}")


def carry_out(job: Job, watcher: Watcher, clock: Callable[[], float] = time.time) -> Outcome:
    """Train to the end, unless the time does not suffice; what goes wrong is noted and ends this training alone.

    Raises:
        TrainingStopped: Ctrl-C.
    """
    if job.deadline_s is not None:
        time_left_s = job.time_left_s()
        # Without teachers it is not known only where the training cannot start, and then it ends at once.
        if time_left_s is None and job.recipe.teachers:
            return Outcome.LEFT
        if time_left_s is not None and clock() + time_left_s > job.deadline_s:
            return Outcome.LEFT
    job.problem_path.unlink(missing_ok=True)
    torch.set_num_threads(job.threads)
    try:
        train_at(job.path, job.recipe, data=job.data, watcher=KeepStages(job, watcher))
        for epochs in job.stages:  # where one was kept, nothing is left to do but its predictions
            recipe = job.recipe.model_copy(update={"epochs": epochs})
            train_at(job.stage_path(epochs), recipe, data=job.data)
    except TrainingStopped:
        raise
    except Exception as error:
        sentence = str(error) if isinstance(error, MienError) else f"{type(error).__name__}: {error}"
        job.note_problem(Outcome.FAILED, sentence)
        return Outcome.FAILED
    return Outcome.FINISHED


class KeepStages(Watcher):
    """Copies the run folder where a stage ends, and passes on what it hears.

    It does so at the first step of the epoch after it, when the newest checkpoint is the one of the stage's end: so it
    happens also where a training was killed between two epochs.
    """

    def __init__(self, job: Job, watcher: Watcher) -> None:
        self._job = job
        self._watcher = watcher

    def on_start(self, run: RunFolder) -> None:
        """Pass on."""
        self._watcher.on_start(run)

    def on_note(self, note: str) -> None:
        """Pass on."""
        self._watcher.on_note(note)

    def on_step(self, progress: StepProgress) -> None:
        """Keep a stage that has just ended, and pass on."""
        ended = progress.epoch - 1
        if ended in self._job.stages and not self._job.stage_path(ended).is_dir():
            keep_stage(RunFolder(self._job.path), ended, self._job.stage_path(ended))
        self._watcher.on_step(progress)

    def on_epoch(self, metrics: EpochMetrics) -> None:
        """Pass on."""
        self._watcher.on_epoch(metrics)


def keep_stage(run: RunFolder, epochs: int, path: Path) -> None:
    """Copy a run that has trained for so many epochs to a folder that looks as if it were to train no longer."""
    recipe = run.recipe.model_copy(update={"epochs": epochs})
    with written_beside(path) as beside:
        stage = RunFolder.make(beside, recipe)
        shutil.copy(run.checkpoint_path, stage.checkpoint_path)
        shutil.copy(run.metrics_path, stage.metrics_path)
        if run.answers_path.is_file():
            shutil.copy(run.answers_path, stage.answers_path)
        environment = run.environment() | {"recipe_sha256": recipe.sha256()}
        stage.environment_path.write_text(json.dumps(environment, indent=2) + "\n")
