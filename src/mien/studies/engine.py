"""Engines: who carries out a study's trainings. One after another here; over a cluster in `mien.cluster`."""

from collections.abc import Sequence
from typing import Protocol

from mien.studies.job import Job, Outcome, carry_out
from mien.training.watcher import Watcher


class StudyWatcher:
    """Told of each training's beginning and end; does nothing, to be subclassed by whoever shows them."""

    def on_begin(self, job: Job) -> Watcher:
        """Hear of a training that begins; return who is to hear of its steps and epochs."""
        return Watcher()

    def on_end(self, job: Job, outcome: Outcome) -> None:
        """Hear what became of it."""


class Engine(Protocol):
    """Carries out trainings."""

    def carry_out(self, jobs: Sequence[Job], watcher: StudyWatcher) -> None:
        """Carry out each of them, or note why not.

        Raises:
            TrainingStopped: Ctrl-C.
        """


class LocalEngine:
    """One training after another, in this process."""

    def carry_out(self, jobs: Sequence[Job], watcher: StudyWatcher) -> None:
        """Carry out each of them in turn."""
        for job in jobs:
            watcher.on_end(job, carry_out(job, watcher.on_begin(job)))
