"""One network fitted to one set of faces: what `train` does once, and cross-fitting once for each fold."""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, TensorDataset

from mien.data.faceset import FaceSet
from mien.models.plain_cnn import PlainNetwork
from mien.preprocess import network_input
from mien.training.averaging import RunningMean
from mien.training.batches import TrainingBatches
from mien.training.callbacks import EpochOrder, LearningCurves, Metrics
from mien.training.collapse import collapsed_to
from mien.training.first_weights import first_network
from mien.training.hog_cache import hog_of, hog_of_looks
from mien.training.memory import keep_freed_memory
from mien.training.module import TrainingModule
from mien.training.parallel import ONE_PROCESS, Parallel, SameStart, check_agreement, part
from mien.training.recipe import Recipe
from mien.training.run_folder import RunFolder
from mien.training.stopping import LastCheckpoint, StopEarly, StopOnInterrupt
from mien.training.targets import make_targets, vote_shares
from mien.training.torch_classifier import network_logits
from mien.training.trackers import Tracker, open_trackers
from mien.training.watcher import Watcher
from mien.words import counted

VALIDATION_BATCH = 512
TOLERATED, TOLERATED_FACES = 0.02, 5  # how far the accuracy may be from the last epoch's before a word is said


def fit(
    run: RunFolder,
    learn: FaceSet,
    watch: FaceSet,
    *,
    data: Path,
    answers: NDArray[np.float32] | None = None,
    watcher: Watcher,
    parallel: Parallel = ONE_PROCESS,
    trackers: Sequence[Tracker] = (),
) -> None:
    """Train a run's network from its last checkpoint, or from the start, to the end.

    Args:
        run: The run, its environment written; nobody else trains in it (`RunFolder.locked`).
        learn: Faces to learn from.
        watch: Faces to validate on after each epoch, and to write predictions for at the end.
        data: Folder of the FaceSet that they are from.
        answers: (N, K) teachers' probabilities for the faces to learn from.
        watcher: Told of each step and epoch.
        parallel: Over which processes.
        trackers: Where else the metrics go.

    Raises:
        TrainingError: The loss stopped being a number.
        OutputError: The disk is full.
        TrainingStopped: Ctrl-C.
    """
    keep_freed_memory()
    recipe, spec = run.recipe, run.recipe.input.spec()
    environment = run.environment()
    watcher.on_start(run)
    network = first_network(run, learn)
    hog = _wants_hog(network, recipe)
    batches = TrainingBatches(
        learn.faces_u8,
        make_targets(learn, recipe.targets, answers),
        vote_shares(learn) if recipe.targets.vote_head else None,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        flip=recipe.augmentation.flip,
        accumulate=recipe.accumulate,
        features=hog_of_looks(learn, spec, data, watcher.on_note) if hog else None,
    )
    module = TrainingModule(
        network,
        recipe,
        spec,
        torch.from_numpy(np.bincount(learn.labels, minlength=len(learn.label_names))),
        compiled=environment.get("compiled", False),
    )
    watch_inputs = network_input(watch.faces_u8, spec)
    watch_tensors = [torch.from_numpy(watch_inputs), torch.from_numpy(watch.labels.astype(np.int64))]
    if hog:
        watch_tensors.append(hog_of(watch, spec, data, watcher.on_note))
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # its lines on accelerators and tips
    trainer = pl.Trainer(
        max_epochs=recipe.epochs,
        accelerator="auto",
        devices=parallel.devices,
        num_nodes=parallel.nodes,
        strategy="auto" if parallel.processes == 1 else "ddp",
        use_distributed_sampler=False,  # the batches know their part
        precision="bf16-mixed" if environment["precision"] == "bf16" else "32-true",
        callbacks=[
            SameStart(environment["data_sha256"], recipe.sha256(), environment["precision"]),
            EpochOrder(batches),
            RunningMean(recipe.ema_decay),
            Metrics(run, watcher),
            LearningCurves(run),
            LastCheckpoint(run),
            StopOnInterrupt(run),
            *([StopEarly(recipe.patience)] if recipe.patience else []),
        ],
        accumulate_grad_batches=batches.accumulate,
        gradient_clip_val=recipe.clip_norm,
        default_root_dir=run.path,
        logger=open_trackers(trackers, run) if parallel.leads else False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        # Lightning advises worker processes; faces that lie in memory need none.
        warnings.filterwarnings("ignore", module=r"lightning\.")
        trainer.fit(
            module,
            batches,
            DataLoader(TensorDataset(*watch_tensors), batch_size=VALIDATION_BATCH),
            ckpt_path=run.checkpoint_path if run.checkpoint_path.is_file() else None,
            weights_only=True,
        )
        check_agreement(trainer, module.network)
        part(trainer)
    if trainer.is_global_zero:
        logits = network_logits(run.network(), watch_inputs)
        run.write_predictions(logits, watch.labels, learn.label_names)
        called = logits.argmax(1)
        if said := _relies_on_rounding(run, float((called == watch.labels).mean()), len(watch)):
            watcher.on_note(said)
        if (collapsed := collapsed_to(called, watch.labels)) is not None:
            watcher.on_note(
                f"The network has collapsed: it calls {(called == collapsed).sum():,} of "
                f"{counted(len(watch), 'face')} of {recipe.data.validate_on} {learn.label_names[collapsed]}. Give it "
                "more epochs, or another rate (--set optimiser.lr=…)."
            )


def _relies_on_rounding(run: RunFolder, accuracy: float, faces: int) -> str:
    """Return a sentence if the network, now in single precision, is not what was validated; else nothing."""
    validated = float(run.metrics()[-1]["validation_accuracy"])
    if abs(accuracy - validated) <= max(TOLERATED, TOLERATED_FACES / faces):
        return ""
    return (
        f"In single precision, in which it will be used, the network is right about {100 * accuracy:.1f} % of "
        f"{run.recipe.data.validate_on}; in training, in {run.environment()['precision']}, it was about "
        f"{100 * validated:.1f} %. It has learnt from rounding: train it with --set precision=fp32."
    )


def _wants_hog(network: torch.nn.Module, recipe: Recipe) -> bool:
    """Return whether the network takes HOG that can be computed once: of faces that are mirrored at most."""
    return isinstance(network, PlainNetwork) and network.hog is not None and recipe.augmentation.only_mirrors
