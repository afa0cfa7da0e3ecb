"""A network -> its layers, parameters and multiply-accumulates."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mien.models.grammar import PlainCNN
from mien.models.registry import build


@dataclass(frozen=True, slots=True)
class LayerSummary:
    """One layer, in the order of the forward pass.

    Attributes:
        name: Its place in the network, dotted.
        kind: Its class.
        shape: Shape of its output for one face, without the batch.
        parameters: Values in it.
        macs: Multiply-accumulates for one face; convolutions and affine layers count, as is usual.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    macs: int


def summarise(network: nn.Module, *, channels: int, view_px: int) -> list[LayerSummary]:
    """Return a row for each layer that a face of (channels, view_px, view_px) passes."""
    rows: list[LayerSummary] = []

    def watch(name: str, layer: nn.Module) -> None:
        def record(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            own = sum(parameter.numel() for parameter in layer.parameters())
            rows.append(LayerSummary(name, type(layer).__name__, tuple(output.shape[1:]), own, _macs(layer, output)))

        handles.append(layer.register_forward_hook(record))

    handles: list[torch.utils.hooks.RemovableHandle] = []
    for name, layer in network.named_modules():
        if not list(layer.children()):
            watch(name, layer)
    was_training = network.training
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, channels, view_px, view_px))
    finally:
        network.train(was_training)
        for handle in handles:
            handle.remove()
    return rows


def layers_of(network: str | PlainCNN, *, channels: int, classes: int, view_px: int) -> list[LayerSummary]:
    """Return the layers of a network that need not be there: nothing is allocated, however large it is.

    Raises:
        ModelError: As `build` does.
    """
    with torch.device("meta"):
        return summarise(
            build(network, channels=channels, classes=classes, view_px=view_px), channels=channels, view_px=view_px
        )


def _macs(layer: nn.Module, output: Tensor) -> int:
    if isinstance(layer, nn.Conv2d):
        return output[0].numel() * layer.weight[0].numel()
    if isinstance(layer, nn.Linear):
        return layer.weight.numel()
    return 0
