"""Cross-fitted teachers: what networks that have not seen a face say of it, as targets for another network.

In: a run whose recipe names teachers, and its training faces.  Out: (N, K) probabilities.

A network that has learnt from a face gives its label back, wrong ones too. So the faces are dealt into folds, faces of
one group together; each teacher is trained once for each fold on all the others, and answers for that fold alone.
Every such training is a run folder inside the student's, so that the whole can stop anywhere and go on.

    runs/mien-s-kd-001/
      teachers/mien-s-fold-1-of-3/   a run folder
      teachers/…
      answers.npy                    (N, K) float32, the mean over teachers, in the order of the training faces
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.faceset import FaceSet
from mien.errors import DataError, RecipeError, TrainingError
from mien.files import written_beside
from mien.training.begin import begin, threads_of
from mien.training.fit import fit
from mien.training.recipe import Recipe
from mien.training.recipe_files import load_recipe
from mien.training.run_folder import RunFolder
from mien.training.torch_classifier import TorchClassifier
from mien.training.watcher import Watcher
from mien.words import counted


def teachers_to_train(recipe: Recipe, learn: FaceSet) -> list[Recipe]:
    """Return the recipes of those teachers of a recipe that have to be trained first, on the faces it learns from.

    Raises:
        RecipeError: A teacher would have teachers itself, or start from a trained model; or two have one name.
        TrainingError: A run that is given as a teacher has seen every training face, or answers for other faces.
        DataError: The faces cannot be dealt into so many folds.
    """
    recipes: list[Recipe] = []
    for name in recipe.teachers:
        if not Path(name).is_dir():
            teacher = load_recipe(name)
            if teacher.teachers:
                raise RecipeError(
                    f"Recipe {name} has teachers itself, and cannot be a teacher; give a finished run of it."
                )
            if teacher.start is not None and teacher.start.weights is None:
                raise RecipeError(
                    f"Recipe {name} starts from a trained model, which may have learnt the very faces that a teacher "
                    "must not have seen; name a recipe that starts from scratch, or from weights of faces or objects "
                    "(start.weights)."
                )
            data = teacher.data.model_copy(update={"train": recipe.data.train, "validate_on": recipe.data.validate_on})
            if teacher.name in {other.name for other in recipes}:
                raise RecipeError(f"Two teachers are called {teacher.name}; give each recipe a `name` of its own.")
            recipes.append(teacher.model_copy(update={"data": data}))
        else:
            _check_answers(RunFolder(Path(name)), recipe, learn)
    if recipes:
        _check_folds(recipe.folds, learn)
    return recipes


def _check_folds(folds: int, learn: FaceSet) -> None:
    groups, most = len(np.unique(learn.groups)), int(np.bincount(learn.labels).max())
    if min(groups, most) < folds:
        raise DataError(
            f"The teachers need {folds} folds of the training faces, and those of {learn.name} are too few for that: "
            f"{counted(groups, 'group')} that must stay together, {counted(most, 'face')} at most of one expression; "
            "set fewer `folds`, or leave `teachers` out."
        )


def _check_answers(given: RunFolder, recipe: Recipe, learn: FaceSet) -> None:
    if not given.answers_path.is_file():
        raise TrainingError(
            f"{given.path} has seen every training face, so its answers would repeat their labels; name its recipe, "
            "to train it on folds, or a run that had teachers, to use their answers again."
        )
    answered = len(np.load(given.answers_path, mmap_mode="r"))
    began = given.environment()
    same = began["data_sha256"] == learn.sha256 and began["labels"] == [*learn.label_names]
    if not same or answered != len(learn):
        raise TrainingError(
            f"The answers in {given.path} are for the {answered:,} faces of another FaceSet; train on that one, or "
            "name a recipe, whose teachers are trained on yours."
        )
    if given.recipe.data.train != recipe.data.train:
        raise TrainingError(
            f"The answers in {given.path} are for the faces of {given.recipe.data.train}, and the recipe learns from "
            f"{recipe.data.train}; name a recipe, whose teachers are trained on those."
        )


def cross_fit(run: RunFolder, learn: FaceSet, data: Path, watcher: Watcher) -> NDArray[np.float32] | None:
    """Return teachers' probabilities for the faces a run learns from, (N, K); None if its recipe names no teacher.

    Trains what is not trained yet, and goes on where it stopped. `data` is the folder of the FaceSet.

    Raises:
        RecipeError: A teacher's recipe has changed since the run began.
        TrainingStopped: Ctrl-C.
    """
    if not run.recipe.teachers:
        return None
    if not run.answers_path.is_file():
        answers = np.mean([_answers(run, name, learn, data, watcher) for name in run.recipe.teachers], axis=0)
        with written_beside(run.answers_path) as beside:
            np.save(beside, answers.astype(np.float32))
    return np.asarray(np.load(run.answers_path), np.float32)


def deal(faces: FaceSet, folds: int, seed: int) -> NDArray[np.int8]:
    """Return the fold of each face, (N,): groups kept together, classes spread evenly."""
    from sklearn.model_selection import StratifiedGroupKFold  # takes a second to import

    fold_of = np.empty(len(faces), np.int8)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for fold, (_, held_out) in enumerate(splitter.split(faces.labels, faces.labels, faces.groups)):
        fold_of[held_out] = fold
    return fold_of


def _answers(run: RunFolder, name: str, learn: FaceSet, data: Path, watcher: Watcher) -> NDArray[np.float32]:
    if Path(name).is_dir():
        return np.asarray(np.load(RunFolder(Path(name)).answers_path), np.float32)
    fold_of = deal(learn, run.recipe.folds, run.recipe.seed)
    answers = np.empty((len(learn), len(learn.label_names)), np.float32)
    for fold in range(run.recipe.folds):
        held_out = np.flatnonzero(fold_of == fold)
        asked, learnt = learn.take(held_out), learn.take(np.flatnonzero(fold_of != fold))
        teacher = _teacher_run(run, name, fold, learnt, data)
        if not teacher.finished:
            with threads_of(teacher.recipe):
                fit(teacher, learnt, asked, data=data, watcher=watcher)
        classifier = TorchClassifier(teacher)
        mirrored = asked.faces_u8[:, :, ::-1]
        answers[held_out] = (classifier.probabilities(asked.faces_u8) + classifier.probabilities(mirrored)) / 2
    return answers


def _teacher_run(run: RunFolder, name: str, fold: int, learn: FaceSet, data: Path) -> RunFolder:
    """Return the run folder of a teacher for one fold, made if it is not there."""
    recipe, which = load_recipe(name), f"fold {fold + 1} of {run.recipe.folds}"
    stem = f"{recipe.name}-{which}".replace("/", "-").replace(" ", "-")
    path = run.path / "teachers" / stem
    splits = recipe.data.model_copy(update={"train": run.recipe.data.train, "validate_on": which})
    recipe = recipe.model_copy(update={"data": splits})
    if not path.is_dir():
        return begin(path, recipe, learn, data)
    begun = RunFolder(path)
    if begun.recipe.sha256() != recipe.sha256():
        raise RecipeError(f"Recipe {name} has changed since {path} was trained by it; start a new run.")
    return begun
