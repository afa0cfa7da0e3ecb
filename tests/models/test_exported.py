"""An exported file's weights, found again."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mien.classifier import Classifier
from mien.data.faceset import FaceSet
from mien.errors import WeightsError
from mien.export.onnx import export
from mien.models.exported import exported_weights, fill_from_exported
from mien.models.registry import build
from mien.preprocess import network_input
from mien.training.recipe_files import load_recipe
from mien.training.torch_classifier import network_logits
from mien.training.train import train
from tests.conftest import TINY


@pytest.mark.parametrize(
    ("network", "view_px"), [("mien-tiny", 44), ("mien-xs", 44), ("alizadeh-deep", 48), ("mini-xception", 48)]
)
def test_the_network_answers_as_its_file_does(
    network: str, view_px: int, faceset_folder: Path, faceset: FaceSet, tmp_path: Path
) -> None:
    """With norms that the file folded away, of two axes and of none, and biases beside them."""
    recipe = load_recipe("mien-s", [*TINY, f"network={network}", f"input.view_px={view_px}", "epochs=2"])
    export(train(recipe, data=faceset_folder, out=tmp_path), tmp_path / "model.onnx")
    values = exported_weights(tmp_path / "model.onnx")
    faces = np.asarray(faceset.faces_u8)
    inputs = network_input(faces, recipe.input.spec())

    filled = build(network, channels=1, classes=7, view_px=view_px)
    fill_from_exported(filled, values, torch.from_numpy(inputs))

    expected = Classifier(tmp_path / "model.onnx").logits(faces)
    np.testing.assert_allclose(network_logits(filled, inputs), expected, atol=1e-4)
    means: dict[str, torch.Tensor] = {}
    folded = {
        name: module
        for name, module in filled.named_modules()
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and f"{name}.running_mean" not in values
    }
    assert folded, "no norm of this network is folded away"
    for name, module in folded.items():
        module.register_forward_pre_hook(
            lambda _, given, name=name: means.update({name: given[0].transpose(0, 1).flatten(1).mean(1)})
        )
    with torch.inference_mode():
        filled.eval()(torch.from_numpy(inputs))
    for name, module in folded.items():
        torch.testing.assert_close(module.running_mean, means[name], atol=1e-4, rtol=1e-4, msg=name)


def test_another_networks_file_is_refused_by_the_first_value_that_is_not_there(tmp_path: Path) -> None:
    values = {"stem.weight": torch.zeros(8, 1, 4, 4)}
    with pytest.raises(WeightsError, match=r"it has no stem\.weight of 32 x 1 x 4 x 4 values in 32 bits"):
        fill_from_exported(build("mien-xs", channels=1, classes=7, view_px=44), values, torch.zeros(2, 1, 44, 44))
