"""What a study's run folders say: for a run, a state of it and a split, every score that a table may ask for.

Validation faces are scored from the predictions that a run left. Other faces are evaluated, once, and the result kept;
PrivateTest only when asked for, and each look is logged.
"""

from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.classifier import softmax
from mien.data.faceset import open_faceset
from mien.data.split import PRIVATE_TEST
from mien.errors import DataError, MienError, OutputError, StudyError, TrainingError
from mien.evaluation.comparison import Interval, macro_f1_interval
from mien.evaluation.evaluate import evaluate
from mien.evaluation.metrics import Evaluation, score
from mien.evaluation.results import ModelResults, read_results
from mien.files import sha256, written_beside
from mien.studies.epochs import Epoch, epochs_of
from mien.studies.folder import StudyFolder
from mien.studies.plan import Planned
from mien.training.run_folder import RunFolder
from mien.words import counted


@dataclass(frozen=True, slots=True)
class Scored:
    """One run, or a state of it, on one split.

    Attributes:
        name: Of the run.
        evaluation: Its scores.
        macro_f1: Its macro F1 with a 95 % bootstrap interval over the faces.
        loss: Cross-entropy on the split; None where only scores were kept.
        train_accuracy: Of the last epoch, augmented, 0-1.
        train_loss: Of the last epoch.
        seconds: Of all epochs together, with their validation.
        epochs: Epochs trained.
        of_epochs: Epochs of the study.
        scaled: Whether fewer than these were to be trained.
    """

    name: str
    evaluation: Evaluation
    macro_f1: Interval
    loss: float | None
    train_accuracy: float
    train_loss: float
    seconds: float
    epochs: int
    of_epochs: int
    scaled: bool


@dataclass(frozen=True, slots=True)
class Missing:
    """Why there is no score."""

    why: str


@dataclass(frozen=True, slots=True)
class State:
    """A training after so many of the study's epochs."""

    training: Planned
    epochs: int
    scaled: int


class Measured:
    """The scores of a study's runs; each is computed once."""

    def __init__(self, folder: StudyFolder, *, look_at_private_test: bool = False) -> None:
        """Prepare to read.

        Args:
            folder: The study.
            look_at_private_test: Whether a look that has not been taken yet may be; it is logged.
        """
        self._folder = folder
        self._looks = look_at_private_test
        self._known: dict[tuple[str, int, str | None], Scored | Missing] = {}
        self._by_name: dict[str, list[Planned]] = {}
        for training in folder.trainings:
            self._by_name.setdefault(training.of, []).append(training)

    def of(self, run: str, epochs: int | None, split: str | None) -> list[Scored | Missing]:
        """Return what a table's run says, one for each seed.

        Args:
            run: A run or a winner.
            epochs: Its state after so many of the study's epochs; None for its end.
            split: On which faces; None for those it validates on.
        """
        if run in self._folder.study.winners:
            winner = self.winner(run)
            return [winner if isinstance(winner, Missing) else self.scored(winner, split)]
        return [self.scored(_state(training, epochs), split) for training in self._by_name[run]]

    def winner(self, name: str) -> State | Missing:
        """Return the state with the highest accuracy on its validation faces, the first of equals.

        Trainings that have failed or were given up do not take part; all others are waited for.
        """
        among = self._folder.study.winners[name].among
        states = [
            _state(training, epochs)
            for training in self._folder.trainings
            if fnmatchcase(training.of, among)
            for epochs in (*(stage.epochs for stage in training.stages), None)
        ]
        scores = [(state, self.scored(state, None)) for state in states]
        known = [(state, found) for state, found in scores if isinstance(found, Scored)]
        waiting = {
            state.training.name
            for state, found in scores
            if isinstance(found, Missing) and not self._folder.problem_path(state.training).is_file()
        }
        if waiting or not known:
            return Missing(f"chosen when all have finished; not yet: {len(waiting)}")
        return max(known, key=lambda item: item[1].evaluation.accuracy)[0]

    def scored(self, state: State, split: str | None) -> Scored | Missing:
        """Return the scores of one state on one split."""
        if split == state.training.recipe.data.validate_on:
            split = None
        key = state.training.name, state.epochs, split
        if key not in self._known:
            self._known[key] = self._score(state, self._folder.run_path(state.training, state.scaled), split)
        return self._known[key]

    def called(self, run: str) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """Return what a run of each seed called the validation faces, (seeds, N), and what they are, (N,).

        None if one of them has not finished, or is broken.
        """
        paths = [self._folder.run_path(training) for training in self._by_name[run]]
        try:
            logits, labels = zip(*(RunFolder(path).predictions() for path in paths), strict=True)
        except MienError:
            return None
        return np.stack(logits).argmax(2), labels[0]

    def _score(self, state: State, path: Path, split: str | None) -> Scored | Missing:
        try:
            return self._scored(state, path, split)
        except OutputError:
            raise  # no fault of the run folder
        except MienError as error:  # one broken run folder leaves the others' numbers standing
            return Missing(str(error))

    def _scored(self, state: State, path: Path, split: str | None) -> Scored | Missing:
        if not path.is_dir() or not RunFolder(path).finished:
            why = self._folder.state(state.training)
            if why == "finished":
                why = f"its state after {counted(state.scaled, 'epoch')} is not there; carry out the study again"
            return Missing(why)
        run = RunFolder(path)
        epochs = epochs_of(run)
        logits, labels = run.predictions()
        if not epochs:
            return Missing(f"{run.metrics_path} is missing; carry out the study again")
        if split is None:
            probabilities = softmax(logits, 1.0)
            names, data = _faces_of(run)
            evaluation = score(
                probabilities, labels, names, model=path.name, data=data, split=run.recipe.data.validate_on, views=1
            )
            macro_f1 = macro_f1_interval(logits.argmax(1), labels, classes=logits.shape[1])
            loss = float(-np.log(probabilities[np.arange(len(labels)), labels] + 1e-12).mean())
        else:
            looked = self._look(path, split)
            if isinstance(looked, Missing):
                return looked
            evaluation, macro_f1 = looked.evaluation, looked.macro_f1
            loss = None
        return Scored(
            name=path.name,
            evaluation=evaluation,
            macro_f1=macro_f1,
            loss=loss,
            train_accuracy=epochs[-1].train_accuracy,
            train_loss=epochs[-1].train_loss,
            seconds=sum(epoch.seconds for epoch in epochs),
            epochs=len(epochs),
            of_epochs=state.epochs,
            scaled=state.scaled < state.epochs,
        )

    def _look(self, path: Path, split: str) -> ModelResults | Missing:
        """Return a run's results on other faces than it validates on: kept, or evaluated now and kept."""
        kept = self._folder.path / "looks" / f"{path.name}-on-{split}.json"
        if not kept.is_file() or not _is_of(kept, RunFolder(path)):
            if split == PRIVATE_TEST and not self._looks:
                return Missing(f"{PRIVATE_TEST} not looked at")
            if split not in open_faceset(self._folder.faceset_path).split_names:
                return Missing(f"no split {split!r} in the FaceSet")
            results = evaluate([str(path)], data=self._folder.faceset_path, split=split).results
            with written_beside(kept) as beside:
                beside.write_text(results.to_json(), encoding="utf-8")
        return _kept(kept)


def _faces_of(run: RunFolder) -> tuple[tuple[str, ...], str]:
    """Return the names of the classes and of the FaceSet that a run was trained on."""
    environment = run.environment()
    try:
        return tuple(environment["labels"]), environment["data"]
    except (KeyError, TypeError) as error:  # JSON, but not what a training writes
        raise TrainingError(f"{run.environment_path} is missing or broken; start a new run.") from error


def _kept(look: Path) -> ModelResults:
    """Return what a look found; one on PrivateTest is not simply taken anew, since each is counted."""
    try:
        (one,) = read_results(look).models
    except (DataError, ValueError) as error:
        raise StudyError(f"{look} is broken; delete it, and the next report looks again.") from error
    return one


def _is_of(kept: Path, run: RunFolder) -> bool:
    """Return whether a kept look is at a run's weights; without the weights nobody can tell, and it stays."""
    return not run.checkpoint_path.is_file() or _kept(kept).sha256 == sha256(run.checkpoint_path)


def _state(training: Planned, epochs: int | None) -> State:
    scaled = next((stage.scaled for stage in training.stages if stage.epochs == epochs), training.recipe.epochs)
    return State(training, epochs or training.epochs, scaled)


def learning_curves(folder: StudyFolder, pattern: str) -> list[tuple[str, tuple[Epoch, ...]]]:
    """Return the epochs of every run that is called so and has begun, by its name; not of broken ones."""
    found = []
    for training in folder.trainings:
        path = folder.run_path(training)
        if fnmatchcase(training.of, pattern) and path.is_dir():
            with suppress(MienError):
                if epochs := epochs_of(RunFolder(path)):
                    found.append((training.name, epochs))
    return found
