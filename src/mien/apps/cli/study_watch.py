"""How a study under way is shown: a line an epoch with the training's name, and bars below in a terminal."""

from rich.progress import Progress, TaskID, TextColumn

from mien.apps.cli import show
from mien.studies.engine import StudyWatcher
from mien.studies.job import Job, Outcome
from mien.training.watcher import EpochMetrics, StepProgress, Watcher


def bars() -> Progress:
    """Return the bars to keep open while a study is carried out."""
    return show.progress_bar(TextColumn("{task.fields[numbers]}"))


class Shown(StudyWatcher):
    """Prints each training's epochs and its end; a bar for each that is under way."""

    def __init__(self, bars: Progress, mark: str = "") -> None:
        """Take the bars, which are open, and what stands behind every epoch's numbers."""
        self._bars = bars
        self._mark = mark
        self._tasks: dict[str, TaskID] = {}

    def on_measuring(self, what: str, share: float) -> None:
        """Show how far the measuring is that comes before a budget."""
        if "" not in self._tasks:
            self._tasks[""] = self._bars.add_task(what, total=1.0, numbers="")
        self._bars.update(self._tasks[""], description=what, completed=share, visible=share < 1)

    def on_begin(self, job: Job) -> Watcher:
        """Return who shows this training."""
        self._tasks[job.name] = self._bars.add_task(job.name, total=None, numbers="")
        return ShownTraining(job, self._bars, self._tasks[job.name], self._mark)

    def on_end(self, job: Job, outcome: Outcome) -> None:
        """Print what became of it."""
        if job.name in self._tasks:
            self._bars.remove_task(self._tasks.pop(job.name))
        style = "" if outcome is Outcome.FINISHED else "bold red"
        show.err.print(f"{job.name}: {outcome}", style=style, soft_wrap=True)


class ShownTraining(Watcher):
    """Moves a bar at each step, prints a line an epoch."""

    def __init__(self, job: Job, bars: Progress, task: TaskID, mark: str = "") -> None:
        """Take the training, its bar, and what stands behind an epoch's numbers."""
        self._job = job
        self._bars = bars
        self._task = task
        self._mark = mark

    def on_note(self, note: str) -> None:
        """Print it."""
        show.err.print(f"{self._job.name}: {note}", soft_wrap=True)

    def on_step(self, progress: StepProgress) -> None:
        """Move the bar."""
        numbers = f"loss {progress.loss:.3f} {progress.faces_per_s:,.0f} faces/s"
        description = f"{self._job.name} {progress.epoch}/{progress.epochs}"
        self._bars.update(
            self._task, description=description, completed=progress.step, total=progress.steps, numbers=numbers
        )

    def on_epoch(self, metrics: EpochMetrics) -> None:
        """Print the line."""
        show.err.print(
            f"{self._job.name}: epoch {metrics.epoch} of {self._job.recipe.epochs}  "
            f"loss {metrics.train_loss:.3f} accuracy {metrics.train_accuracy:.3f}  validation "
            f"{metrics.validation_loss:.3f} {metrics.validation_accuracy:.3f}{self._mark}  "
            f"{metrics.faces_per_s:,.0f} faces/s",
            soft_wrap=True,
        )
