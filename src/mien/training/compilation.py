"""Whether `torch.compile` makes a network's steps faster on this machine: measured, not assumed."""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

TIMED_STEPS = 4


@dataclass(frozen=True, slots=True)
class Compilation:
    """What was chosen, and why.

    Attributes:
        compiled: Whether steps run through `torch.compile`.
        reason: For the log.
    """

    compiled: bool
    reason: str


def choose(wanted: str, batch: Callable[[], tuple[nn.Module, Tensor]], *, device: str, bf16: bool) -> Compilation:
    """Return what the recipe wants, or with ``"auto"`` what takes less time on a few steps.

    Args:
        wanted: The recipe's ``compile``: ``"off"``, ``"on"`` or ``"auto"``.
        batch: Makes the network and a whole batch of inputs, (N, C, H, W), to measure with.
        device: Where the steps run.
        bf16: Whether they run in bf16.
    """
    if wanted != "off" and bf16 and device == "cpu":
        return Compilation(False, "in bf16 compiled steps give gradients that are no numbers; set precision=fp32")
    if wanted != "auto":
        return Compilation(wanted == "on", "by recipe")
    network, example = batch()
    example = example.contiguous(memory_format=torch.channels_last)
    own = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    ways = {"as it is": own, "compiled": torch.compile(copy.deepcopy(own), dynamic=False)}
    best = dict.fromkeys(ways, float("inf"))
    for way in ways.values():
        _step(way, example, bf16)  # compiles, and warms up
    for _ in range(TIMED_STEPS):  # by turns, so that a busy moment of the machine meets both
        for name, way in ways.items():
            started = time.perf_counter()
            _step(way, example, bf16)
            best[name] = min(best[name], time.perf_counter() - started)
    ratio = best["as it is"] / best["compiled"]
    return Compilation(ratio > 1, f"measured {ratio:.2f} times as fast compiled")


def _step(network: nn.Module, example: Tensor, bf16: bool) -> None:
    with torch.autocast(example.device.type, torch.bfloat16, enabled=bf16):
        outputs = network(example)
    outputs.float().square().mean().backward()
