"""The flow of a training: a recipe and a FaceSet -> a finished run folder. Read from the top."""

import json
import logging
import warnings
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping
from numpy.typing import NDArray
from torch.utils.data import DataLoader, TensorDataset

from mien.data.faceset import FaceSet, open_faceset
from mien.errors import DataError, TrainingError
from mien.files import written_beside
from mien.models.registry import StartsFromData, build
from mien.preprocess import InputSpec, network_input
from mien.training.averaging import RunningMean
from mien.training.batches import TrainingBatches, generator
from mien.training.callbacks import EpochOrder, LastCheckpoint, LearningCurves, Metrics, StopOnInterrupt, Watcher
from mien.training.environment import describe_environment, native_bf16
from mien.training.module import VALIDATION_LOSS, TrainingModule
from mien.training.recipe import Recipe
from mien.training.run_folder import RunFolder, network_logits

VALIDATION_BATCH = 512


def train(recipe: Recipe, *, data: Path, out: Path, watcher: Watcher | None = None) -> RunFolder:
    """Train a network in a new run folder under `out`.

    Args:
        recipe: What to train and how.
        data: Folder of a prepared FaceSet.
        out: Parent of the run folder; made if it is not there.
        watcher: Told of each step and epoch.

    Returns:
        The finished run.

    Raises:
        DataError: The FaceSet is broken, lacks a split the recipe names, or has faces of another size.
        ModelError: The recipe names an unknown network.
        TrainingError: The loss stopped being a number.
        TrainingStopped: Ctrl-C; the run can go on with `resume`.
    """
    faces = open_faceset(data)
    _check_fit(recipe, faces)
    precision = _precision(recipe)
    run = RunFolder.create(out, recipe)
    environment = describe_environment(recipe, faces, data, precision=precision)
    with written_beside(run.environment_path) as beside:
        beside.write_text(json.dumps(environment, indent=2) + "\n")
    return _fit(run, faces, precision, watcher or Watcher())


def resume(run: RunFolder, *, data: Path | None = None, watcher: Watcher | None = None) -> RunFolder:
    """Go on with a run from its last checkpoint (or from the start, if it has none), on the FaceSet it began with.

    Args:
        run: The run.
        data: Where its FaceSet lies now; by default where it lay when the run began.
        watcher: Told of each step and epoch.

    Raises:
        DataError: The FaceSet is gone or broken; say with `data` where it is now.
        TrainingError: It is another FaceSet.
    """
    if run.predictions_path.is_file():
        return run  # it has finished
    environment = run.environment()
    folder = data or Path(environment["data_folder"])
    if data is None and not folder.exists():
        raise DataError(f"{folder}, on which {run.path} was trained, is gone; say where it is now with --data.")
    faces = open_faceset(folder)
    if faces.sha256 != environment["data_sha256"]:
        raise TrainingError(f"{folder} has changed since {run.path} began, or is another one; start a new run.")
    return _fit(run, faces, environment["precision"], watcher or Watcher())


def _fit(run: RunFolder, faces: FaceSet, precision: str, watcher: Watcher) -> RunFolder:
    watcher.on_start(run)
    recipe, spec = run.recipe, run.recipe.input.spec()
    learn, watch = faces.split(recipe.data.train), faces.split(recipe.data.validate_on)

    batches = TrainingBatches(learn, batch_size=recipe.batch_size, seed=recipe.seed, flip=recipe.augmentation.flip)
    counts = torch.from_numpy(np.bincount(learn.labels, minlength=len(learn.label_names)))
    module = TrainingModule(_first_weights(recipe, learn, spec), recipe, spec, counts)
    watch_inputs = network_input(watch.faces_u8, spec)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # its lines on accelerators and tips
    trainer = pl.Trainer(
        max_epochs=recipe.epochs,
        accelerator="auto",
        devices=1,
        precision="bf16-mixed" if precision == "bf16" else "32-true",
        callbacks=[
            EpochOrder(batches),
            RunningMean(recipe.ema_decay),
            Metrics(run, watcher),
            LearningCurves(run),
            LastCheckpoint(run),
            StopOnInterrupt(run),
            *([EarlyStopping(VALIDATION_LOSS, patience=recipe.patience)] if recipe.patience else []),
        ],
        gradient_clip_val=recipe.clip_norm,
        default_root_dir=run.path,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    with run.locked(), warnings.catch_warnings():
        # Lightning advises worker processes; faces that lie in memory need none.
        warnings.filterwarnings("ignore", module=r"lightning\.")
        trainer.fit(
            module,
            batches,
            DataLoader(_tensors(watch_inputs, watch.labels), batch_size=VALIDATION_BATCH),
            ckpt_path=run.checkpoint_path if run.checkpoint_path.is_file() else None,
            weights_only=True,
        )
    run.write_predictions(network_logits(run.network(), watch_inputs), watch.labels, faces.label_names)
    return run


def _check_fit(recipe: Recipe, faces: FaceSet) -> None:
    build(recipe.network, channels=recipe.input.channels, classes=len(faces.label_names))  # or says it is unknown
    faces.check_fits(recipe.input.spec(), f"Recipe {recipe.name}")
    for split in (recipe.data.train, recipe.data.validate_on):
        faces.split(split)


def _precision(recipe: Recipe) -> str:
    if recipe.precision != "auto":
        return recipe.precision
    return "bf16" if torch.cuda.is_available() or native_bf16() else "fp32"


def _first_weights(recipe: Recipe, learn: FaceSet, spec: InputSpec) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = build(recipe.network, channels=spec.channels, classes=len(learn.label_names))
    if isinstance(network, StartsFromData):
        sample = torch.randperm(len(learn), generator=generator(recipe.seed))[:2048].numpy()
        network.initialise_from(torch.from_numpy(network_input(learn.faces_u8[np.sort(sample)], spec)))
    return network


def _tensors(inputs: NDArray[np.float32], labels: NDArray[np.int8]) -> TensorDataset:
    return TensorDataset(torch.from_numpy(inputs), torch.from_numpy(labels.astype(np.int64)))
