"""Write a run's network as ONNX, with its card inside, and prove that it answers as torch does."""

import logging
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from mien.card import METADATA_KEY, NOT_STATED, ModelCard, Score
from mien.classifier import Classifier
from mien.data.faceset import FaceSet, open_faceset
from mien.data.ferplus import by_majority
from mien.errors import ExportError, OutputError
from mien.files import check_writable, written_beside
from mien.preprocess import InputSpec, network_input
from mien.training.calibration import calibrate
from mien.training.run_folder import RunFolder
from mien.training.torch_classifier import network_logits
from mien.words import counted

PARITY_FACES = 256
TOLERANCE = 1e-4  # on logits: float32 sums in another order differ by a few 1e-6
BY_MAJORITY = "by majority of FER+'s voters"  # how a card's score says it
OPSET = 20  # the first with a Gelu operator


def export(
    run: RunFolder, out: Path, *, data: Path | None = None, by_votes: bool = False, licence: str = NOT_STATED
) -> float:
    """Write a finished run as an ONNX file.

    Args:
        run: The run; its final weights are written.
        out: The file to write.
        data: FaceSet whose validation faces are compared; by default the one the run was trained on.
        by_votes: Write the second head, which learnt the votes, as a model of FER+'s eight expressions.
        licence: Of the weights, for the card.

    Returns:
        The largest difference between torch's logits and onnxruntime's on 256 faces.

    Raises:
        ExportError: They differ by more than 1e-4; nothing is written then.
        DataError: The FaceSet is not there (name it with `data`), or its faces do not fit.
        TrainingError: The run has not finished, or has no second head.
    """
    check_out(out)
    network, card = run.network(by_votes=by_votes), run.card(licence=licence)
    faces = open_faceset(run.data_folder(data)).split(run.recipe.data.validate_on)
    faces.check_fits(card.input, f"Run {run.path}")
    if by_votes:
        card = _by_votes(card, run, network, faces)
    faces_u8 = np.array(faces.faces_u8[:PARITY_FACES])
    with written_beside(out) as beside:
        onnx.save(to_onnx(network, card), beside)
        difference = largest_difference(network, beside, faces_u8, card.input)
        if not difference <= TOLERANCE:
            raise ExportError(
                f"torch and onnxruntime differ by {difference:.2e} on {counted(len(faces_u8), 'face')}, and "
                f"{TOLERANCE:.0e} is the most allowed; nothing was written. Please report this with your versions of "
                "torch and onnxruntime."
            )
    return difference


def _by_votes(card: ModelCard, run: RunFolder, network: nn.Module, faces: FaceSet) -> ModelCard:
    """Return a run's card as its second head's, measured and calibrated by what most voters saw."""
    clear, _ = by_majority(faces)
    split = run.recipe.data.validate_on
    logits = network_logits(network, network_input(clear.faces_u8, card.input))
    return replace(
        card,
        name=f"{card.name}-votes",
        labels=clear.label_names,
        calibration=calibrate(logits, clear.labels, split=split, coverage=run.recipe.coverage),
        score=Score.measured(logits, clear.labels, split=f"{split} {BY_MAJORITY}"),
    )


def check_out(out: Path) -> None:
    """Raise OutputError unless an ONNX file could be written there."""
    check_writable(out)
    if out.suffix != ".onnx":
        raise OutputError(f"Cannot write {out}: its name must end in .onnx.")


def to_onnx(network: nn.Module, card: ModelCard) -> onnx.ModelProto:
    """Return the network as an ONNX model: input `faces` (N, C, H, W), output `logits` (N, K), the card as metadata."""
    spec = card.input
    example = torch.zeros(2, spec.channels, spec.view_px, spec.view_px)
    exporter_log = logging.getLogger("torch.onnx")
    level = exporter_log.level
    exporter_log.setLevel(logging.ERROR)  # it reports each step it takes
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's own use of what torch deprecates
            program = torch.onnx.export(
                network.eval(),
                (example,),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("faces_n")},),
                input_names=["faces"],
                output_names=["logits"],
                opset_version=OPSET,
                verbose=False,
            )
    finally:
        exporter_log.setLevel(level)
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    graph = model.graph
    for part in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")  # the exporter's traces, with the paths of this machine
    onnx.helper.set_model_props(model, {METADATA_KEY: card.to_json()})
    model.producer_name, model.doc_string = "mien", card.limits
    onnx.checker.check_model(model)
    return model


def largest_difference(network: nn.Module, file: Path, faces_u8: NDArray[np.uint8], spec: InputSpec) -> float:
    """Return the largest absolute difference between torch's logits and those of the ONNX file."""
    ours = network_logits(network, network_input(faces_u8, spec))
    return float(np.abs(ours - Classifier(file).logits(faces_u8)).max())
