"""The papers' networks against the papers' own tables."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.nn import functional

from mien.models.registry import build, networks
from mien.models.same_padding import same_max_pool
from mien.models.summary import layers_of
from mien.models.xception import XceptionModule


def _parameters(name: str) -> int:
    entry = networks()[name]
    layers = layers_of(name, channels=entry.channels, classes=entry.classes, view_px=entry.view_px)
    return sum(layer.parameters for layer in layers)


# Barbagallo, section 1; Jawade, Tables 1 and 2 ("around 14.75M", "50.4M").
@pytest.mark.parametrize(
    ("name", "parameters"), [("fer-kd", 10_479_111), ("jawade-main", 50_399_046), ("jawade-baseline", 14_742_342)]
)
def test_a_network_has_as_many_parameters_as_its_paper_says(name: str, parameters: int) -> None:
    assert _parameters(name) == parameters


# Jawade, Table 1, row by row: layer, output shape, parameters.
JAWADE_TABLE_1 = [
    ("conv1_1", (96, 96, 64), 1792),
    ("conv1_2", (96, 96, 64), 36928),
    ("pool1", (48, 48, 64), 0),
    ("conv2_1", (48, 48, 128), 73856),
    ("conv2_2", (48, 48, 128), 147584),
    ("pool2", (24, 24, 128), 0),
    ("conv3_1", (24, 24, 256), 295168),
    ("conv3_2", (24, 24, 256), 590080),
    ("conv3_3", (24, 24, 256), 590080),
    ("pool3", (12, 12, 256), 0),
    ("conv4_1", (12, 12, 512), 1180160),
    ("conv4_2", (12, 12, 512), 2359808),
    ("conv4_3", (12, 12, 512), 2359808),
    ("pool4", (6, 6, 512), 0),
    ("conv5_1", (6, 6, 512), 2359808),
    ("conv5_2", (6, 6, 512), 2359808),
    ("conv5_3", (6, 6, 512), 2359808),
    ("pool5", (3, 3, 512), 0),
    ("dense_1", (4096,), 18878464),
    ("dense_2", (4096,), 16781312),
    ("dense_3", (6,), 24582),
]


def test_jawades_main_model_is_its_table_row_by_row() -> None:
    layers = layers_of("jawade-main", channels=3, classes=6, view_px=96)
    rows = [layer for layer in layers if layer.kind in ("Conv2d", "MaxPool2d", "Linear")]
    assert len(rows) == len(JAWADE_TABLE_1)
    for row, (name, shape, parameters) in zip(rows, JAWADE_TABLE_1, strict=True):
        channels_last = (*row.shape[1:], row.shape[0]) if len(row.shape) == 3 else row.shape
        assert (channels_last, row.parameters) == (shape, parameters), name


def test_jawades_baseline_has_27_654_parameters_in_its_head() -> None:
    """Table 2."""
    *_, head = layers_of("jawade-baseline", channels=3, classes=6, view_px=96)
    assert (head.kind, head.parameters) == ("Linear", 27_654)


# The layers' kinds that Table 1 of Barbagallo counts, hidden affine layers without the last one.
@pytest.mark.parametrize(
    ("name", "convs", "hidden"),
    [
        ("fer-kd-plus-fc-conv", 6, 2),
        ("fer-kd-plus-conv", 6, 1),
        ("fer-kd-plus-fc", 5, 2),
        ("fer-kd", 5, 1),
        ("fer-kd-minus-1-conv", 4, 1),
        ("fer-kd-minus-2-conv", 3, 1),
        ("fer-kd-minus-3-conv", 2, 1),
        ("fer-kd-minus-4-conv", 1, 1),
        ("alizadeh-shallow", 2, 1),
        ("alizadeh-deep", 4, 2),
        ("maes-lange-2-2", 2, 1),
        ("maes-lange-3-2", 3, 1),
        ("maes-lange-5-2", 5, 1),
        ("maes-lange-5-5", 5, 4),
        ("gudi", 3, 1),
    ],
)
def test_a_network_is_as_deep_as_its_paper_says(name: str, convs: int, hidden: int) -> None:
    entry = networks()[name]
    kinds = [layer.kind for layer in layers_of(name, channels=entry.channels, classes=7, view_px=entry.view_px)]
    assert (kinds.count("Conv2d"), kinds.count("Linear") - 1) == (convs, hidden)


def test_fer_kds_maps_are_those_that_its_paper_lists() -> None:
    """Section 1: 64x48x48, 128x48x48, pooled 128x24x24; 256x24x24, pooled 256x12x12; 512x12x12, pooled; 1024."""
    layers = layers_of("fer-kd", channels=3, classes=7, view_px=48)
    maps = [layer.shape for layer in layers if layer.kind in ("Conv2d", "MaxPool2d", "AdaptiveMaxPool2d")]
    assert maps == [
        (64, 48, 48),
        (128, 48, 48),
        (128, 24, 24),
        (256, 24, 24),
        (256, 12, 12),
        (512, 12, 12),
        (512, 6, 6),
        (1024, 6, 6),
        (1024, 2, 2),
    ]
    assert [layer.name for layer in layers if layer.kind == "Dropout"] == ["convs.pool_dropout3", "convs.pool_dropout4"]


@pytest.mark.parametrize(("plain", "hybrid"), [("alizadeh-shallow", 512), ("alizadeh-deep", 256)])
def test_a_hybrids_first_affine_layer_takes_900_numbers_more(plain: str, hybrid: int) -> None:
    """9 orientations, 8x8 cells, 2x2 blocks of a 48x48 face: 5 * 5 blocks of 36."""
    assert _parameters(f"{plain}-hog") - _parameters(plain) == 900 * hybrid


@pytest.mark.parametrize(("name", "values"), [("mini-xception", 58_423), ("big-xception", 208_871)])
def test_the_xceptions_are_as_large_as_their_keras_originals(name: str, values: int) -> None:
    """Keras' summary of the authors' code counts the running statistics of the batch norms too, two for each scale."""
    entry = networks()[name]
    layers = layers_of(name, channels=1, classes=7, view_px=entry.view_px)
    statistics = sum(layer.parameters for layer in layers if layer.kind == "BatchNorm2d")
    assert sum(layer.parameters for layer in layers) + statistics == values


@pytest.mark.parametrize("side", [3, 4, 11, 12, 45, 46])
def test_same_pooling_is_that_of_tensorflow(side: int) -> None:
    x = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    added = (-(-side // 2) - 1) * 2 + 3 - side  # "same": ceil(side / 2) windows of 3, two apart; an odd pixel goes last
    padded = functional.pad(x, [added // 2, added - added // 2] * 2, value=-torch.inf)
    assert torch.equal(same_max_pool(side)(x), functional.max_pool2d(padded, 3, 2))


def test_gudis_maps() -> None:
    """48 -> 24 -> 12 by the two pools of 3 with step 2, as TFLearn pads them; then 3072."""
    layers = layers_of("gudi", channels=1, classes=7, view_px=48)
    maps = [layer.shape for layer in layers if layer.kind in ("Conv2d", "MaxPool2d", "LocalContrastNormalisation")]
    assert maps == [(64, 48, 48), (64, 48, 48), (64, 24, 24), (64, 24, 24), (64, 12, 12), (128, 12, 12)]
    assert np.array([layer.shape for layer in layers if layer.kind == "Linear"]).ravel().tolist() == [3072, 7]


def test_an_odd_batch_in_bf16_with_two_threads_trains_xception() -> None:
    """It crashed the process where the shortcut was one strided 1x1 convolution; so this runs in one of its own."""
    script = """
import torch
from mien.models.registry import build
torch.set_num_threads(2)
network = build("mini-xception", channels=1, classes=7, view_px=48).to(memory_format=torch.channels_last)
inputs = torch.rand(7, 1, 48, 48).contiguous(memory_format=torch.channels_last)
for _ in range(5):
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(inputs)
    logits.float().square().mean().backward()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_shortcut_is_a_strided_convolution() -> None:
    network = build("mini-xception", channels=1, classes=7, view_px=48)
    shortcut = next(module for module in network.modules() if isinstance(module, XceptionModule)).shortcut
    _, conv, norm = shortcut.eval()
    inputs = torch.rand(2, 8, 43, 43)
    expected = norm(functional.conv2d(inputs, conv.weight, stride=2))
    torch.testing.assert_close(shortcut(inputs), expected)
