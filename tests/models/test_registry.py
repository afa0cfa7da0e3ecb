import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mien.errors import ModelError
from mien.models.mien_nets import WhitenedStem
from mien.models.registry import build, networks, register
from mien.models.summary import layers_of

NAMES = list(networks())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("channels", "classes", "larger_px"), [(1, 7, 0), (3, 8, 16)])
def test_every_network_takes_other_faces_and_gives_other_classes(
    name: str, channels: int, classes: int, larger_px: int
) -> None:
    layers = layers_of(name, channels=channels, classes=classes, view_px=networks()[name].view_px + larger_px)
    assert layers[-1].shape[0] == classes


def test_a_name_can_be_taken_only_once() -> None:
    with pytest.raises(ValueError, match="Two networks"):
        register("mien-s", source="", view_px=44)(lambda channels, classes, view_px: torch.nn.Identity())


def test_an_unknown_network_lists_the_near_ones() -> None:
    with pytest.raises(ModelError, match="no network 'mien-z'; did you mean mien-s"):
        build("mien-z", channels=1, classes=7, view_px=44)


def test_the_small_net_is_as_large_as_its_design_says() -> None:
    """84 M multiply-accumulates and 1.0 M parameters at 44 px, counted by hand from the widths."""
    layers = layers_of("mien-s", channels=1, classes=7, view_px=44)
    at_43, at_21, at_10, at_5 = 32 * 32, 32 * 32 + 32 * 96, 2 * 96 * 96 + 96 * 192, 2 * 192 * 192
    convs = 16 * 32 * 43**2 + 9 * (at_43 * 43**2 + at_21 * 21**2 + at_10 * 10**2 + at_5 * 5**2)
    assert sum(layer.macs for layer in layers) == convs + 384 * 7
    weights = 16 * 32 + 9 * (at_43 + at_21 + at_10 + at_5) + 384 * 7
    norms = 2 * (2 * 32 + 3 * 96 + 3 * 192)
    assert sum(layer.parameters for layer in layers) == weights + norms


@pytest.mark.parametrize(("name", "parameters", "macs"), [("mien-xs", 143_328, 12.9e6), ("mien-m", 2_957_376, 246e6)])
def test_the_other_sizes_are_as_large_as_their_docstrings_say(name: str, parameters: int, macs: float) -> None:
    layers = layers_of(name, channels=1, classes=7, view_px=44)
    weights = sum(layer.parameters for layer in layers)
    assert weights == parameters
    assert sum(layer.macs for layer in layers) == pytest.approx(macs, rel=0.01)


def test_the_stem_whitens() -> None:
    """Its outputs over the patches it was fitted on have the identity as covariance, up to the small floor."""
    rows = np.random.default_rng(0).normal(size=(64, 1, 44, 44)).cumsum(-1).cumsum(-2)
    inputs = torch.from_numpy(rows / rows.std()).float()
    stem = WhitenedStem(1, size=4, stride=4)
    stem.fit(inputs)
    outputs = F.conv2d(inputs, stem.weight, stride=4)[:, :16].transpose(0, 1).flatten(1)
    covariance = (outputs @ outputs.T / outputs.shape[1]).numpy()
    variances = np.diag(covariance)
    assert np.abs(covariance - np.diag(variances)).max() < 0.02
    assert variances.max() == pytest.approx(1, abs=0.01)
    np.testing.assert_array_equal(stem.weight[:16].numpy(), -stem.weight[16:].numpy())


def test_the_stem_does_not_enlarge_the_rounding_of_grey_faces_as_rgb() -> None:
    rows = np.random.default_rng(0).normal(size=(64, 1, 44, 44)).cumsum(-1).cumsum(-2)
    grey = torch.from_numpy(rows / rows.std()).float()
    noise = torch.from_numpy(np.random.default_rng(1).normal(scale=0.02, size=(64, 3, 44, 44))).float()
    for inputs, filters in ((grey.expand(-1, 3, -1, -1), 16), (grey + noise, 48)):
        stem = WhitenedStem(3, size=4, stride=4)
        stem.fit(inputs)
        assert len(stem.weight[:48].unique(dim=0)) == filters, "what is there is whitened, however faint"
        with torch.no_grad():
            exact = stem(inputs)[:, :48]
            with torch.autocast("cpu", dtype=torch.bfloat16):
                rounded = stem(inputs)[:, :48].float()
        noise_std, std = (rounded - exact).std(dim=(0, 2, 3)), exact.std(dim=(0, 2, 3))
        assert (noise_std < 0.5 * std).all(), "no filter shows rounding rather than faces"
