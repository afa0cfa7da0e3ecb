"""Every network can learn: each weight gets a gradient, and some dozen steps teach it 64 drawn faces, seven classes."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien.models.registry import StartsFromData, build, networks
from mien.training.environment import native_bf16
from tests.conftest import drawn_faces

STEPS, BATCH, ENOUGH = 60, 16, 0.95
# Side of the view and rate of Adam; the views are nearly as small as the networks allow, to save time.
HOW = {
    "alizadeh-deep": (32, 1e-3),
    "alizadeh-deep-hog": (32, 1e-3),
    "gudi": (16, 3e-4),
    "jawade-baseline": (32, 1e-4),
    "jawade-main": (32, 1e-4),
    "big-xception": (24, 3e-3),
    "mini-xception": (24, 1e-2),
    "mien-s": (24, 1e-2),
    "mien-tiny": (24, 1e-2),
}
USUAL = (16, 1e-3)


@pytest.mark.parametrize("name", list(networks()))
def test_it_learns_64_faces(name: str) -> None:
    entry = networks()[name]
    side, lr = (48, 1e-3) if name.startswith("maes-lange") else HOW.get(name, USUAL)
    torch.manual_seed(0)
    labels = torch.arange(64) % 7
    faces = torch.from_numpy(drawn_faces(labels.tolist()))[:, None].float() / 255
    inputs = F.interpolate(faces, size=(side, side), mode="area").expand(-1, entry.channels, -1, -1)
    network = build(name, channels=entry.channels, classes=7, view_px=side).to(memory_format=torch.channels_last)
    if name.startswith("jawade"):  # VGG16 starts from weights that others have trained: as large as these, not smaller
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
    if isinstance(network, StartsFromData):
        network.initialise_from(inputs)
    optimiser = torch.optim.Adam([weight for weight in network.parameters() if weight.requires_grad], lr=lr)
    right = 0.0
    for step in range(1, STEPS + 1):
        rows = torch.randperm(64)[:BATCH]
        with torch.autocast("cpu", torch.bfloat16, enabled=native_bf16()):
            loss = F.cross_entropy(network.train()(inputs[rows]).float(), labels[rows])
        optimiser.zero_grad()
        loss.backward()
        if step == 1:
            _check_gradients(network)
        optimiser.step()
        if step % 5 == 0:
            right = (_answers(network, inputs) == labels).float().mean().item()
            if right >= ENOUGH:
                return
    pytest.fail(f"{name} had {right:.0%} right after {STEPS} steps")


def _check_gradients(network: nn.Module) -> None:
    for name, weight in network.named_parameters():
        if weight.requires_grad:
            assert weight.grad is not None, name
            assert torch.isfinite(weight.grad).all(), name
            assert weight.grad.abs().sum() > 0, name


@torch.no_grad()
def _answers(network: nn.Module, inputs: Tensor) -> Tensor:
    """Return the classes in evaluation mode, the statistics of the norms taken anew: a few steps leave them behind."""
    network.eval()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.momentum = 1.0
            layer.train()
    network(inputs)
    answers: Tensor = network.eval()(inputs).argmax(1)
    return answers
