"""The weights that a training begins with: by chance, from a sample of its faces, or from a model, a run or a file.

In: a recipe, or a run that has no checkpoint yet.  Out: what its first weights are, in words; its network.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.classifier import Classifier
from mien.data.faceset import FaceSet
from mien.errors import WeightsError
from mien.files import sha256
from mien.models.exported import exported_weights, fill_from_exported
from mien.models.pretrained import Pretrained, fill, read_pretrained, terms
from mien.models.registry import StartsFromData, build
from mien.preprocess import InputSpec, network_input
from mien.training.batches import generator
from mien.training.recipe import Recipe
from mien.training.run_folder import RunFolder
from mien.training.torch_classifier import network_logits

SCRATCH = "scratch"
MEAN_FACES = 2048  # of which the means before folded norms are taken
TOLERANCE = 1e-3  # on logits, between a model's file and the network made from it


def start_of(recipe: Recipe) -> dict[str, str]:
    """Return what a recipe's first weights are, and what a model that starts from them has to say in its licence.

    Raises:
        WeightsError: The file, the model or the run is not there, or not what it should be.
        TrainingError: The run is broken.
    """
    start = recipe.start
    if start is None:
        return {"start": SCRATCH, "start_terms": ""}
    if start.weights is not None:
        return {"start": str(_pretrained(recipe)), "start_terms": terms(start.weights)}
    if start.model is not None:
        model = _model(recipe)
        card = model.card
        colours = (3,) if card.input.channels == 3 else ()
        blank = np.zeros((2, card.input.face_px, card.input.face_px, *colours), np.uint8)
        _network_of(model, recipe, blank)  # refuses, before a folder is made, what cannot be started from
        return {
            "start": _trained(card.name, card.provenance.data, "file", model.path, card.provenance.start),
            "start_terms": f"started from {card.name}, whose licence is: {card.licence}",
        }
    run = _earlier_run(recipe)
    environment = run.environment()
    return {
        "start": _trained(
            run.recipe.name, environment["data"], "checkpoint", run.checkpoint_path, environment["start"]
        ),
        "start_terms": environment.get("start_terms", ""),
    }


def _trained(name: str, data: str, what: str, file: Path, start: str) -> str:
    before = "" if start == SCRATCH else f", which started from {start}"
    return f"{name}, trained on {data} ({what}'s SHA-256 {sha256(file)[:12]}…){before}"


def data_learnt_before(start: str) -> list[str]:
    """Return the names of the sets that a model's ancestors learnt from, as its card's `start` tells them."""
    return re.findall(r"trained on (.+?) \((?:file|checkpoint)'s SHA-256 ", start)


def first_network(run: RunFolder, learn: FaceSet) -> nn.Module:
    """Return a run's network with its first weights; where it has a checkpoint, that is going to replace them.

    Raises:
        WeightsError: What it starts from is not what it should be.
    """
    recipe = run.recipe
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = run.new_network()
    sample = torch.randperm(len(learn), generator=generator(recipe.seed))
    if isinstance(network, StartsFromData):
        inputs = network_input(_faces(learn, sample[: network.sample_faces]), recipe.input.spec())
        network.initialise_from(torch.from_numpy(inputs))
    if recipe.start is not None and not run.checkpoint_path.is_file():
        if recipe.start.weights is not None:
            fill(network, _pretrained(recipe))
        elif recipe.start.model is not None:
            model = _model(recipe)
            weights = _network_of(model, recipe, _faces(learn, sample[:MEAN_FACES])).state_dict()
            _take_over(network, run, _outputs(model, run, weights), weights)
        else:
            earlier = _earlier_run(recipe)
            _take_over(network, run, earlier.outputs(), earlier.weights())
    return network


def _faces(faces: FaceSet, indices: Tensor) -> NDArray[np.uint8]:
    return np.asarray(faces.faces_u8[np.sort(indices.numpy())])


def _pretrained(recipe: Recipe) -> Pretrained:
    assert recipe.start is not None
    assert recipe.start.weights is not None
    return read_pretrained(recipe.start.weights, recipe.start.file)


def _model(recipe: Recipe) -> Classifier:
    assert recipe.start is not None
    assert recipe.start.model is not None
    model = Classifier(recipe.start.model)
    card = model.card
    _check_same(recipe, str(model.path), card.network, card.input, f"take a recipe for that network, as {card.name} is")
    return model


def _earlier_run(recipe: Recipe) -> RunFolder:
    assert recipe.start is not None
    assert recipe.start.run is not None
    run = RunFolder(Path(recipe.start.run))
    if not run.finished:
        raise WeightsError(f"{run.path} has not finished; go on with it first: mien train --resume {run.path}")
    run.check_checkpoint()
    own = f"name its own recipe: mien train {run.recipe_path} --data FACESET --set start.run={run.path}"
    _check_same(recipe, str(run.path), str(run.recipe.network), run.recipe.input.spec(), own)
    return run


def _check_same(recipe: Recipe, source: str, network: str, spec: InputSpec, advice: str) -> None:
    for what, theirs, ours in (
        ("network", network, str(recipe.network)),
        ("input", spec, recipe.input.spec()),
    ):
        if theirs != ours:
            raise WeightsError(f"{source} has another {what} ({theirs}) than recipe {recipe.name} ({ours}); {advice}.")


def _network_of(model: Classifier, recipe: Recipe, faces_u8: NDArray[np.uint8]) -> nn.Module:
    """Return the network of a model's file, with all the outputs that it has there."""
    values, spec = exported_weights(model.path), model.card.input
    inputs = network_input(faces_u8, spec)
    try:
        outputs = {len(values[name]) for name in _by_output(recipe) if name in values}
        if len(outputs) != 1:
            raise WeightsError("it has no last layer in 32 bits")
        network = build(recipe.network, channels=spec.channels, classes=outputs.pop(), view_px=spec.view_px)
        fill_from_exported(network, values, torch.from_numpy(inputs))
        answers = network_logits(network, inputs)[:, : len(model.card.labels)]
        difference = float(np.abs(answers - model.logits(faces_u8)).max())
        if not difference <= TOLERANCE:
            raise WeightsError(f"the network made from it answers differently, by {difference:.1g}")
    except WeightsError as error:
        raise WeightsError(
            f"Cannot start from {model.path}: {error}; name a file of 32 bits that `mien export` wrote."
        ) from error
    return network


def _outputs(model: Classifier, run: RunFolder, weights: Mapping[str, Tensor]) -> list[str]:
    """Return what each output of a model's network is about.

    Its file names the classes alone: a second head as wide as the run's is taken for one on the same kinds of vote.
    """
    labels = list(model.card.labels)
    votes = [name for name in run.outputs() if name not in run.environment()["labels"]]
    others = len(weights[min(_by_output(run.recipe))]) - len(labels)
    return labels + (votes if len(votes) == others else [""] * others)


def _take_over(network: nn.Module, run: RunFolder, had: Sequence[str], weights: Mapping[str, Tensor]) -> None:
    """Copy weights; of the last layer those of the outputs that both have, the others start anew."""
    has = run.outputs()
    both = [name for name in has if name in had]
    from_, to = [had.index(name) for name in both], [has.index(name) for name in both]
    by_output = _by_output(run.recipe)
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
