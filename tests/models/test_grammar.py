from dataclasses import replace

import pytest
import torch
from torch import nn

from mien.errors import ModelError
from mien.models.convolution import Conv2d
from mien.models.dropout import Dropout
from mien.models.grammar import AffineBlock, ConvBlock, PlainCNN
from mien.models.hog import HOG
from mien.models.plain_cnn import MeanImage, PlainNetwork
from mien.models.registry import build

SMALL = PlainCNN(
    convs=(
        ConvBlock(8, kernel=5, norm=True, dropout=0.1, pool=2),
        ConvBlock(16, stride=2, padding=0, pool=3, dropout_after_pool=0.2),
    ),
    affines=(AffineBlock(32, norm=True, dropout=0.5), AffineBlock(16)),
    adaptive_pool=2,
    mean_image=True,
    hog=True,
)


def test_every_part_of_the_grammar_is_built_in_its_order() -> None:
    network = PlainNetwork(SMALL, 1, 7, 48)
    kinds = [type(layer) for layer in network.modules() if not list(layer.children())]
    block = [Conv2d, nn.BatchNorm2d, nn.ReLU, Dropout, nn.MaxPool2d]
    second = [Conv2d, nn.ReLU, nn.MaxPool2d, Dropout, nn.AdaptiveMaxPool2d]
    affines = [nn.Linear, nn.BatchNorm1d, nn.ReLU, Dropout, nn.Linear, nn.ReLU, nn.Linear]
    assert [kind for kind in kinds if kind not in (MeanImage, HOG)] == [*block, *second, *affines]
    assert isinstance(network.mean_image, MeanImage)
    assert network.affines[0].in_features == 16 * 2 * 2 + 900
    assert network(torch.rand(2, 1, 48, 48)).shape == (2, 7)


def test_its_notation_is_the_papers() -> None:
    assert str(SMALL) == (
        "MeanImage-[Conv(8, 5x5)-BN-ReLU-Dropout(0.1)-MaxPool(2)]-[Conv(16, 3x3/2 pad 0)-ReLU-MaxPool(3)-Dropout(0.2)]"
        "-AdaptiveMaxPool(2)-HOG-[Affine(32)-BN-ReLU-Dropout(0.5)]-[Affine(16)-ReLU]-Affine"
    )


@pytest.mark.parametrize(
    ("convs", "sentence"),
    [
        ((ConvBlock(8, pool=4), ConvBlock(8, pool=16)), "conv 2: a pool of 16 leaves no pixels of a map of 12x12"),
        (
            (ConvBlock(8, pool=16), ConvBlock(8, kernel=5, padding=0)),
            "conv 2: filters of 5x5 do not fit on a map of 3x3",
        ),
        ((ConvBlock(8, pool=48),), "adaptive_pool: 2x2 is more than the map of 1x1"),
    ],
)
def test_a_layer_that_leaves_no_pixels_is_named(convs: tuple[ConvBlock, ...], sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        build(replace(SMALL, convs=convs), channels=1, classes=7, view_px=48)


def test_hog_needs_a_block() -> None:
    with pytest.raises(ModelError, match="16 px is the least"):
        build(PlainCNN(convs=(ConvBlock(4),), hog=True), channels=1, classes=7, view_px=12)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: ConvBlock(0),
        lambda: ConvBlock(8, dropout=1.0),
        lambda: ConvBlock(8, pool=-1),
        lambda: AffineBlock(0),
        lambda: AffineBlock(8, dropout=-0.1),
        lambda: PlainCNN(convs=()),
    ],
)
def test_a_value_that_no_layer_can_have_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="must be|needs one convolution"):
        wrong()  # type: ignore[operator]


def test_the_mean_image_is_that_of_the_faces_and_their_mirrors_and_is_kept() -> None:
    inputs = torch.rand(50, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    network = PlainNetwork(SMALL, 1, 7, 48)
    network.initialise_from(inputs)
    expected = torch.cat([inputs, inputs.flip(3)]).mean(0)
    again = PlainNetwork(SMALL, 1, 7, 48)
    again.load_state_dict(network.state_dict())
    assert again.mean_image is not None
    torch.testing.assert_close(again.mean_image(inputs), inputs - expected)
    assert not [name for name, _ in network.named_parameters() if "mean_image" in name], "it is not trained"


def test_known_hog_features_are_used_as_they_are() -> None:
    network = PlainNetwork(SMALL, 1, 7, 48).eval()
    assert network.hog is not None
    inputs = torch.rand(4, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    known = network.hog(inputs)
    torch.testing.assert_close(network(inputs, known), network(inputs))
    assert (network(inputs, known + 1) - network(inputs)).abs().max() > 1e-3
