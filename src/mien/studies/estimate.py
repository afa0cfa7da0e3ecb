"""How long will it take? A few steps of each distinct network are trained for real, and the clock is read.

In: jobs.  Out: the same jobs, each with the seconds that an epoch of it takes.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from mien.data.faceset import FaceSet, identified, open_faceset
from mien.errors import TrainingStopped
from mien.studies.job import Job
from mien.training.recipe import Recipe
from mien.training.train import train_at
from mien.training.watcher import StepProgress, Watcher

MEASURE_S = 40.0  # in all; with the building of networks around it that is about a minute
FACES_A_STEP = 64  # a larger batch is measured by this one: per face they cost the same, and a step of VGG16 is long
STEPS = 30  # of an epoch that is measured
ENOUGH = 40  # steps, of a network so small that the time would do for thousands
SLOW = 1e-6  # the rate of what is measured: so low that no loss becomes infinite while the clock runs
VALIDATION_COST = 1 / 3  # of a training face: forward without backward


class _Enough(Exception):
    """Ends a training that was only to be measured."""


class _Stopwatch(Watcher):
    """Times steps until there is time for no more."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self.steps_s: list[float] = []
        self._seconds = seconds
        self._clock = clock
        self._begun = self._before = clock()

    def on_step(self, progress: StepProgress) -> None:
        now = self._clock()
        steps = progress.steps // progress.epochs
        if progress.step > 1 and (steps == 1 or (progress.step - 1) % steps):  # the first of an epoch has more to do
            self.steps_s.append(now - self._before)
        self._before = now
        if self.steps_s and (now - self._begun >= self._seconds or len(self.steps_s) >= ENOUGH):
            raise _Enough


def timed(
    jobs: Sequence[Job],
    *,
    measure_s: float,
    progress: Callable[[str, float], None] = lambda what, share: None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Job]:
    """Return jobs with the time that an epoch of them takes on this machine.

    It is None where a training cannot start, and where teachers would have to be trained first.

    Args:
        jobs: Trainings on one FaceSet.
        measure_s: Seconds for all of them together; each distinct network takes two steps at least.
        progress: Called with what is measured and the share of all that is done, 0-1.
        clock: Seconds.
    """
    if not jobs:
        return []
    faces = open_faceset(jobs[0].data)
    distinct = {_key(job.recipe): job for job in jobs}
    step_s: dict[str, float | None] = {}
    for number, (key, job) in enumerate(distinct.items()):
        progress(f"Measuring {job.name}", number / len(distinct))
        step_s[key] = None if job.recipe.teachers else _face_s(job, faces, measure_s / len(distinct), clock)
    progress("Measured", 1.0)
    return [replace(job, epoch_s=_epoch_s(job.recipe, faces, step_s[_key(job.recipe)])) for job in jobs]


def _key(recipe: Recipe) -> str:
    """Return what is equal for recipes whose steps cost the same."""
    optimiser = recipe.optimiser.model_copy(update={"lr": 1.0, "muon_lr": 1.0, "weight_decay": 0.0})
    return recipe.model_copy(update={"name": "", "about": "", "epochs": 1, "seed": 0, "optimiser": optimiser}).sha256()


def _face_s(job: Job, faces: FaceSet, seconds: float, clock: Callable[[], float]) -> float | None:
    """Return seconds for one training face, the median over steps."""
    batch = min(job.recipe.batch_size, FACES_A_STEP)
    slow = job.recipe.optimiser.model_copy(update={"lr": SLOW, "muon_lr": SLOW})
    whole = job.recipe.augmentation.model_copy(update={"early_px": None})  # smaller pictures would flatter it
    changes = {"batch_size": batch, "epochs": 1_000_000, "patience": None, "optimiser": slow, "augmentation": whole}
    recipe = job.recipe.model_copy(update=changes)
    torch.set_num_threads(job.threads)
    with tempfile.TemporaryDirectory(prefix="mien-") as scratch:
        few = Path(scratch) / "few.faceset"
        _few(faces, recipe, batch).save(few)
        stopwatch = _Stopwatch(seconds, clock)
        try:
            train_at(Path(scratch) / "run", recipe, data=few, watcher=stopwatch)
        except _Enough:
            pass
        except TrainingStopped as stop:  # Ctrl-C is meant for all of the measuring
            raise KeyboardInterrupt from stop
        except Exception:  # it will be told where the training itself fails
            return None
    return float(np.median(stopwatch.steps_s)) / batch


def _few(faces: FaceSet, recipe: Recipe, batch: int) -> FaceSet:
    """Return some faces of either split, repeated if they are few: no epoch, with its checkpoint, may end at once."""
    learn, watch = (
        np.resize(np.flatnonzero(faces.splits == faces.split_names.index(name)), count)
        for name, count in ((recipe.data.train, batch * STEPS), (recipe.data.validate_on, batch))
    )
    return identified(faces.take(np.concatenate([learn, watch])))


def _epoch_s(recipe: Recipe, faces: FaceSet, face_s: float | None) -> float | None:
    if face_s is None:
        return None
    counts = np.bincount(faces.splits, minlength=len(faces.split_names))
    learn, watch = (int(counts[faces.split_names.index(s)]) for s in (recipe.data.train, recipe.data.validate_on))
    looks = learn * (2 if recipe.augmentation.flip == "both" else 1)
    return face_s * (looks + VALIDATION_COST * watch)
