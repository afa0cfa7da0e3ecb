"""The flow of a study: a study and a FaceSet -> finished run folders. Read from the top."""

import time
from collections.abc import Callable
from dataclasses import replace

import torch

from mien.errors import TrainingStopped
from mien.studies import estimate
from mien.studies.engine import Engine, StudyWatcher
from mien.studies.folder import StudyFolder
from mien.studies.job import Job
from mien.words import counted

MEASURED_PART = 20  # of a budget, one part in so many may go into measuring


def run_study(
    folder: StudyFolder,
    *,
    engine: Engine,
    threads: int | None = None,
    budget_s: float | None = None,
    watcher: StudyWatcher | None = None,
    progress: Callable[[str, float], None] = lambda what, share: None,
) -> list[Job]:
    """Carry out what is still to be done of a study.

    Finished trainings are left as they are, stopped ones go on, a failed one is noted and the others go on.

    Args:
        folder: The study.
        engine: Who carries it out.
        threads: Threads of each training; by default as many as torch takes.
        budget_s: Begin no training that would not end within so many seconds.
        watcher: Told of each training.
        progress: Told of the measuring that a budget needs.

    Returns:
        The trainings that have not finished.

    Raises:
        StudyError: A run folder was trained by another recipe than the study's, or another process is carrying it out.
        TrainingStopped: Ctrl-C; the same command goes on.
    """
    begun_s = time.time()
    jobs = unfinished(folder, threads)
    try:
        if budget_s is not None:
            jobs = estimate.timed(jobs, measure_s=min(estimate.MEASURE_S, budget_s / MEASURED_PART), progress=progress)
            jobs = [replace(job, deadline_s=begun_s + budget_s) for job in jobs]
        with folder.locked():
            engine.carry_out(jobs, watcher or StudyWatcher())
    except (TrainingStopped, KeyboardInterrupt) as stop:
        finished = len(folder.trainings) - len(unfinished(folder, threads))
        raise TrainingStopped(
            f"Stopped: {finished} of {counted(len(folder.trainings), 'training')} finished, and of the others no "
            f"finished epoch is lost. Go on with: mien study run {folder.path}"
        ) from stop
    return unfinished(folder, threads)


def unfinished(folder: StudyFolder, threads: int | None = None) -> list[Job]:
    """Return the trainings that are still to be done."""
    return [job for job in folder.jobs(threads or torch.get_num_threads()) if not job.finished]
