"""An ONNX file that `mien export` wrote -> the weights of its network, ready to learn on.

In: the file, a network of its kind, some faces.  Out: the network answers as the file does.

Exporting folds a batch norm into the convolution right before it: the file has that convolution's filters divided by
the deviation, a bias for both, and nothing else of the norm. The norm takes out any scale and any mean, so filters of
unit scale (as Muon keeps them) do as well as those that were lost, and the mean of what they give is found with faces.
"""

from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from mien.errors import WeightsError

Norm = nn.BatchNorm1d | nn.BatchNorm2d
PREFIX = "network."  # a file with one of two heads was written from the network within a module


def exported_weights(file: Path) -> dict[str, Tensor]:
    """Return the values of a model file by their names in torch; those of a folded norm are a `weight_bias`."""
    values = {
        tensor.name.removeprefix(PREFIX): torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())
        for tensor in onnx.load(file).graph.initializer
    }
    return {name: value for name, value in values.items() if value.is_floating_point()}


@torch.no_grad()
def fill_from_exported(network: nn.Module, values: dict[str, Tensor], inputs: Tensor) -> None:
    """Set a network's weights, running means and variances to those of a model file.

    Args:
        network: Of the same kind, and with as many outputs.
        values: What `exported_weights` gave.
        inputs: (N, C, H, W) of unaugmented faces, enough for a mean.

    Raises:
        WeightsError: The file has no such value in 32 bits, or one of another shape; the message has the first.
    """
    network.eval()
    modules = dict(network.named_modules())
    folded = {
        norm: conv for norm, conv in _before_norms(network, inputs[:2]).items() if f"{norm}.running_mean" not in values
    }
    for name, value in network.state_dict().items():
        owner, _, kind = name.rpartition(".")
        if kind == "num_batches_tracked" or owner in folded:
            continue
        if kind == "bias" and owner in folded.values():
            value.zero_()  # the norm's bias has it
            continue
        if name not in values or values[name].shape != value.shape:
            raise WeightsError(f"it has no {name} of {' x '.join(map(str, value.shape))} values in 32 bits")
        value.copy_(values[name])
    scales: dict[str, float] = {}
    for norm_name, conv_name in folded.items():
        conv, norm = modules[conv_name], modules[norm_name]
        bias = values.get(f"{conv_name}.weight_bias", values.get(f"{conv_name}.bias"))
        if bias is None:
            raise WeightsError(f"it has nothing of {norm_name}")
        scale = scales[norm_name] = float(len(conv.weight) ** 0.5 / conv.weight.norm())
        conv.weight.mul_(scale)
        norm.running_mean.zero_()
        norm.running_var.fill_(scale**2 - norm.eps)
        norm.weight.fill_(1)
        norm.bias.copy_(bias)
    means = _means_before(network, [modules[name] for name in folded], inputs)
    for (name, scale), mean in zip(scales.items(), means, strict=True):
        modules[name].running_mean.copy_(mean)
        modules[name].bias.add_(mean / scale)


def _before_norms(network: nn.Module, inputs: Tensor) -> dict[str, str]:
    """Return the convolution or affine layer that ran right before each batch norm, by their names."""
    ran: list[tuple[str, nn.Module]] = []
    hooks = [
        module.register_forward_hook(lambda module, *_, name=name: ran.append((name, module)))
        for name, module in network.named_modules()
        if not [*module.children()]
    ]
    network(inputs)
    for hook in hooks:
        hook.remove()
    return {
        norm: before
        for (before, layer), (norm, module) in zip(ran, ran[1:], strict=False)
        if isinstance(module, Norm) and isinstance(layer, nn.Conv2d | nn.Linear)
    }


def _means_before(network: nn.Module, norms: list[nn.Module], inputs: Tensor) -> list[Tensor]:
    """Return the mean of each channel that reaches each of the norms."""
    sums: dict[nn.Module, Tensor] = dict.fromkeys(norms, torch.zeros(()))

    def add(norm: nn.Module, given: tuple[Tensor, ...]) -> None:
        x = given[0].transpose(0, 1).flatten(1)  # (channels, the rest)
        sums[norm] = sums[norm] + x.mean(1) * len(given[0]) / len(inputs)

    hooks = [norm.register_forward_pre_hook(add) for norm in norms]
    for batch in torch.split(inputs, 256):
        network(batch)
    for hook in hooks:
        hook.remove()
    return [*sums.values()]
