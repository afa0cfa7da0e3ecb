"""The flow of a training: a recipe and a FaceSet -> a finished run folder. Read from the top."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from mien.data.faceset import FaceSet, open_faceset
from mien.data.split import is_private_test
from mien.errors import DataError, OutputError, RecipeError, TrainingError, TrainingStopped
from mien.models.pretrained import check_takes_vgg16
from mien.models.registry import build
from mien.training.begin import begin, threads_of
from mien.training.distillation import cross_fit, teachers_to_train
from mien.training.environment import moved
from mien.training.fit import fit
from mien.training.parallel import ONE_PROCESS, Parallel
from mien.training.recipe import Recipe
from mien.training.run_folder import RunFolder
from mien.training.trackers import Tracker, check_trackers
from mien.training.watcher import Watcher


def train(
    recipe: Recipe,
    *,
    data: Path,
    out: Path,
    watcher: Watcher | None = None,
    parallel: Parallel = ONE_PROCESS,
    trackers: Sequence[Tracker] = (),
) -> RunFolder:
    """Train a network in a new run folder under `out`.

    Args:
        recipe: What to train and how.
        data: Folder of a prepared FaceSet.
        out: Parent of the run folder; made if it is not there.
        watcher: Told of each step and epoch.
        parallel: Over which processes; all but the leader get a scratch folder that is gone at the end.
        trackers: Where else the metrics go.

    Returns:
        The finished run.

    Raises:
        DataError: The FaceSet is broken, lacks a split or votes the recipe needs, or has faces of another size.
        ModelError: The recipe names an unknown network, spells an impossible one, or starts it from weights that do
            not fit.
        WeightsError: The recipe starts from weights that are not there, or are not what they should be.
        RecipeError: The recipe's teachers or sizes do not fit its network.
        TrainingError: The loss stopped being a number, or a checkpoint could not be written.
        TrainingStopped: Ctrl-C; the run can go on with `resume`.
        MissingExtraError: A tracker is not installed.
    """
    check_trackers(trackers)
    faces = open_faceset(data)
    check_fit(recipe, faces)
    parallel.check(recipe, len(faces.split(recipe.data.train)))
    with parallel.folder(out) as parent:
        run = _begin_next(parent, recipe, faces, data)
        return _finish(run, faces, data, watcher or Watcher(), parallel, trackers)


def _begin_next(parent: Path, recipe: Recipe, faces: FaceSet, data: Path) -> RunFolder:
    """Begin a run under the next number that is free; another training may take that in the meantime."""
    while True:
        path = RunFolder.next_path(parent, recipe)
        try:
            return begin(path, recipe, faces, data)
        except OutputError:
            if not path.exists():
                raise


def train_at(path: Path, recipe: Recipe, *, data: Path, watcher: Watcher | None = None) -> RunFolder:
    """Train a network in the run folder at `path`: begun, gone on with, or left as it is if it has finished.

    Args:
        path: The run folder; made if need be.
        recipe: What to train; the recipe of the folder, if that is there.
        data: Folder of a prepared FaceSet.
        watcher: Told of each step and epoch.

    Raises:
        MienError: As `train` and `resume`.
    """
    if not path.is_dir():
        faces = open_faceset(data)
        check_fit(recipe, faces)
        begin(path, recipe, faces, data)
    return resume(RunFolder(path), data=data, watcher=watcher)


def resume(
    run: RunFolder,
    *,
    data: Path | None = None,
    watcher: Watcher | None = None,
    parallel: Parallel = ONE_PROCESS,
    trackers: Sequence[Tracker] = (),
) -> RunFolder:
    """Go on with a run from its last checkpoint (or from the start, if it has none), on the FaceSet it began with.

    Args:
        run: The run.
        data: Where its FaceSet lies now; by default where it lay when the run began.
        watcher: Told of each step and epoch.
        parallel: Over which processes; may differ from those it began with.
        trackers: Where else the metrics go.

    Raises:
        DataError: The FaceSet is gone or broken; say with `data` where it is now.
        TrainingError: It is another FaceSet; the checkpoint is broken; or the run has finished, and it is gone.
        MissingExtraError: A tracker is not installed.
    """
    if run.finished or run.checkpoint_path.is_file():
        run.check_checkpoint()
    if run.finished:
        return run
    check_trackers(trackers)
    folder = run.data_folder(data)
    faces = open_faceset(folder)
    environment = run.environment()
    hashes = {"data_sha256": faces.sha256, "data_companions_sha256": faces.companions_sha256}
    if any(
        environment.get(name, now) != now for name, now in hashes.items()
    ):  # runs begun earlier have the first alone
        raise TrainingError(f"{folder} has changed since {run.path} began, or is another one; start a new run.")
    parallel.check(run.recipe, len(faces.split(run.recipe.data.train)))
    watcher = watcher or Watcher()
    with threads_of(run.recipe):
        changes = moved(environment)
    if changes:
        watcher.on_note(changes)
    with parallel.folder_with(run.path) as path:
        return _finish(RunFolder(path), faces, folder, watcher, parallel, trackers)


def _finish(
    run: RunFolder, faces: FaceSet, data: Path, watcher: Watcher, parallel: Parallel, trackers: Sequence[Tracker]
) -> RunFolder:
    learn, watch = faces.split(run.recipe.data.train), faces.split(run.recipe.data.validate_on)
    with _saying_how_to_go_on(run), run.locked():
        answers = cross_fit(run, learn, data, watcher)
        parallel.announce()
        with threads_of(run.recipe):
            fit(run, learn, watch, data=data, answers=answers, watcher=watcher, parallel=parallel, trackers=trackers)
    return run


@contextmanager
def _saying_how_to_go_on(run: RunFolder) -> Iterator[None]:
    try:
        yield
    except TrainingStopped as stop:
        raise TrainingStopped(f"{stop} Go on with: mien train --resume {run.path}") from stop
    except OutputError as error:
        raise TrainingError(
            f"{error} The last whole checkpoint is kept; make room and go on with: mien train --resume {run.path}"
        ) from error


def check_fit(recipe: Recipe, faces: FaceSet) -> None:
    """Raise the errors of `train` that can be seen before it starts, but for those of weights to start from."""
    spec = recipe.input.spec()
    with torch.device("meta"):  # to see whether it can be built, nothing need be allocated
        network = build(recipe.network, channels=spec.channels, classes=len(faces.label_names), view_px=spec.view_px)
    if recipe.start is not None and recipe.start.weights is not None:
        check_takes_vgg16(network, str(recipe.network))
    faces.check_fits(recipe.input.spec(), f"Recipe {recipe.name}")
    for key, split in recipe.data:
        if split not in faces.split_names:
            raise DataError(
                f"Recipe {recipe.name} takes the split {split!r}, and {faces.name} has {', '.join(faces.split_names)}; "
                f"name one of them with --set data.{key}=SPLIT, or divide the faces with `mien data split`."
            )
        faces.split(split)
        if is_private_test(faces.name, split):
            raise DataError(
                f"{faces.name} has PrivateTest's faces, which are for reporting; learn from Training and choose on "
                "PublicTest."
            )
    targets = recipe.targets
    if (targets.kind != "labels" or targets.vote_share or targets.vote_head) and faces.votes is None:
        raise DataError(
            f"Recipe {recipe.name} learns from votes, and {faces.name} has none; "
            "FER2013 gets them by `mien data prepare … --votes CSV`."
        )
    for teacher in teachers_to_train(recipe, faces.split(recipe.data.train)):
        check_fit(teacher, faces)
    early_px = recipe.augmentation.early_px
    if early_px is not None:
        try:
            with torch.inference_mode(), torch.device("meta"):
                network.eval()(torch.zeros(1, recipe.input.channels, early_px, early_px))
        except RuntimeError:
            raise RecipeError(
                f"Recipe {recipe.name}: {recipe.network} takes pictures of one size; leave augmentation.early_px out."
            ) from None
