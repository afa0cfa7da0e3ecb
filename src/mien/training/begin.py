"""A new run folder: the recipe, and what it will be trained with, before the first step."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from mien.data.faceset import FaceSet
from mien.files import make_folder, written_beside
from mien.models.registry import build
from mien.training.compilation import Compilation, choose
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
    with threads_of(recipe):
        precision = _precision(recipe)
        environment = describe_environment(recipe, faces, data, precision=precision) | start_of(recipe)
        compilation = _compilation(recipe, classes=len(faces.label_names), bf16=precision == "bf16")
    environment |= {"compiled": compilation.compiled, "compile_reason": compilation.reason}
    make_folder(path.parent)
    with written_beside(path) as beside:
        run = RunFolder.make(beside, recipe)
        run.environment_path.write_text(json.dumps(environment, indent=2) + "\n")
    return RunFolder(path)


@contextmanager
def threads_of(recipe: Recipe) -> Iterator[None]:
    """Let torch compute with as many threads as a recipe says, if it says so, and then with as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(recipe.resources.threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _compilation(recipe: Recipe, *, classes: int, bf16: bool) -> Compilation:
    device, spec = _device(), recipe.input.spec()

    def batch() -> tuple[nn.Module, Tensor]:
        network = build(recipe.network, channels=spec.channels, classes=classes, view_px=spec.view_px)
        shape = (recipe.batch_size, spec.channels, spec.view_px, spec.view_px)
        return network.to(device), torch.rand(shape, device=device)

    return choose(recipe.compile, batch, device=device, bf16=bf16)


def _precision(recipe: Recipe) -> str:
    if recipe.precision != "auto":
        return recipe.precision
    return "bf16" if torch.cuda.is_available() or native_bf16() else "fp32"


def _device() -> str:
    """Return what Lightning will choose for itself."""
    return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
