"""The weights that a training begins with: by chance, from a sample of its faces, from VGG16's file, or from a run.

In: a recipe, or a run that has no checkpoint yet.  Out: what its first weights are, in words; its network.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from mien.data.faceset import FaceSet
from mien.errors import WeightsError
from mien.files import sha256
from mien.models.pretrained import Pretrained, fill, read_pretrained, terms
from mien.models.registry import StartsFromData, build
from mien.preprocess import network_input
from mien.training.batches import generator
from mien.training.recipe import Recipe
from mien.training.run_folder import RunFolder

SCRATCH = "scratch"


def start_of(recipe: Recipe) -> dict[str, str]:
    """Return what a recipe's first weights are, and what a model that starts from them has to say in its licence.

    Raises:
        WeightsError: The file or the run is not there, or not what it should be.
        TrainingError: The run is broken.
    """
    if recipe.start is None:
        return {"start": SCRATCH, "start_terms": ""}
    if recipe.start.weights is not None:
        return {"start": str(_pretrained(recipe)), "start_terms": terms(recipe.start.weights)}
    run = _earlier_run(recipe)
    environment = run.environment()
    before = "" if environment["start"] == SCRATCH else f", which started from {environment['start']}"
    weights = f"checkpoint's SHA-256 {sha256(run.checkpoint_path)[:12]}…"
    return {
        "start": f"{run.recipe.name}, trained on {environment['data']} ({weights}){before}",
        "start_terms": environment.get("start_terms", ""),
    }


def first_network(run: RunFolder, learn: FaceSet) -> nn.Module:
    """Return a run's network with its first weights; where it has a checkpoint, that is going to replace them."""
    recipe = run.recipe
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = run.new_network()
    if isinstance(network, StartsFromData):
        sample = torch.randperm(len(learn), generator=generator(recipe.seed))[: network.sample_faces].numpy()
        network.initialise_from(torch.from_numpy(network_input(learn.faces_u8[np.sort(sample)], recipe.input.spec())))
    if recipe.start is not None and not run.checkpoint_path.is_file():
        if recipe.start.weights is not None:
            fill(network, _pretrained(recipe))
        else:
            _take_over(network, run, _earlier_run(recipe))
    return network


def _pretrained(recipe: Recipe) -> Pretrained:
    assert recipe.start is not None
    assert recipe.start.weights is not None
    return read_pretrained(recipe.start.weights, recipe.start.file)


def _earlier_run(recipe: Recipe) -> RunFolder:
    assert recipe.start is not None
    assert recipe.start.run is not None
    run = RunFolder(Path(recipe.start.run))
    if not run.finished:
        raise WeightsError(f"{run.path} has not finished; go on with it first: mien train --resume {run.path}")
    run.check_checkpoint()
    for what, theirs, ours in (
        ("network", run.recipe.network, recipe.network),
        ("input", run.recipe.input, recipe.input),
    ):
        if theirs != ours:
            raise WeightsError(
                f"{run.path} has another {what} ({theirs}) than recipe {recipe.name} ({ours}); name its own recipe: "
                f"mien train {run.recipe_path} --data FACESET --set start.run={run.path}"
            )
    return run


def _take_over(network: nn.Module, run: RunFolder, earlier: RunFolder) -> None:
    """Copy an earlier run's weights; of the last layer those of the outputs that both have, the others start anew."""
    had, has = earlier.outputs(), run.outputs()
    both = [name for name in has if name in had]
    from_, to = [had.index(name) for name in both], [has.index(name) for name in both]
    by_output = _by_output(run.recipe)
    weights = earlier.weights()
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if name in by_output:
                value[to] = weights[name][from_]
            else:
                value.copy_(weights[name])


def _by_output(recipe: Recipe) -> set[str]:
    """Return the names of the weights that have a row for each output: those whose shape follows the classes."""

    def shapes(classes: int) -> dict[str, torch.Size]:
        spec = recipe.input.spec()
        with torch.device("meta"):
            network = build(recipe.network, channels=spec.channels, classes=classes, view_px=spec.view_px)
        return {name: value.shape for name, value in network.state_dict().items()}

    seven, eight = shapes(7), shapes(8)
    return {name for name in seven if seven[name] != eight[name]}
