"""A new run folder: the recipe, and what it will be trained with, before the first step."""

import json
from pathlib import Path

import torch

from mien.data.faceset import FaceSet
from mien.files import make_folder, written_beside
from mien.models.registry import build
from mien.training.compilation import choose
from mien.training.environment import describe_environment, native_bf16
from mien.training.first_weights import start_of
from mien.training.recipe import Recipe
from mien.training.run_folder import RunFolder


def begin(path: Path, recipe: Recipe, faces: FaceSet, data: Path) -> RunFolder:
    """Make the run folder `path`, whole or not at all, and those above it.

    Args:
        path: The run folder; there must be none yet.
        recipe: What to train.
        faces: The FaceSet, or the part of it that is learnt from.
        data: Folder of the FaceSet.

    Raises:
        OutputError: It cannot be written.
        WeightsError: The recipe starts from weights that are not there, or are not what they should be.
    """
    take_threads(recipe)
    precision = _precision(recipe)
    environment = describe_environment(recipe, faces, data, precision=precision) | start_of(recipe)
    device, spec = _device(), recipe.input.spec()
    network = build(recipe.network, channels=spec.channels, classes=len(faces.label_names), view_px=spec.view_px)
    example = torch.rand(recipe.batch_size, spec.channels, spec.view_px, spec.view_px, device=device)
    compilation = choose(recipe.compile, network.to(device), example, bf16=precision == "bf16")
    environment |= {"compiled": compilation.compiled, "compile_reason": compilation.reason}
    make_folder(path.parent)
    with written_beside(path) as beside:
        run = RunFolder.make(beside, recipe)
        run.environment_path.write_text(json.dumps(environment, indent=2) + "\n")
    return RunFolder(path)


def take_threads(recipe: Recipe) -> None:
    """Let torch compute with as many threads as a recipe says, if it says so."""
    if recipe.resources.threads is not None:
        torch.set_num_threads(recipe.resources.threads)


def _precision(recipe: Recipe) -> str:
    if recipe.precision != "auto":
        return recipe.precision
    return "bf16" if torch.cuda.is_available() or native_bf16() else "fp32"


def _device() -> str:
    """Return what Lightning will choose for itself."""
    return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
