"""How the weights move (Muon, SGD, RMSProp, Adam, AdamW), and the rate over time."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mien.training.environment import native_bf16
from mien.training.recipe import OptimiserSection, ScheduleSection


class MuonAndSGD(Optimizer):
    """Groups with ``muon=True`` move by Muon (Jordan et al. 2024), the others by SGD; both with Nesterov momentum.

    Muon replaces each filter bank's step by the nearest orthogonal matrix, and keeps its filters at unit
    scale, so that a rate means the same turn for every layer.
    """

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        super().__init__(groups, {"muon": False, "lr": 0.0, "momentum": 0.0, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every weight by one step; return what the closure returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                decay = group["weight_decay"]
                gradient = weight.grad.add(weight, alpha=decay) if decay else weight.grad
                state = self.state[weight]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(weight)
                momentum = state["momentum"].mul_(group["momentum"]).add_(gradient)
                direction = gradient.add(momentum, alpha=group["momentum"])
                if group["muon"]:
                    weight.mul_(len(weight) ** 0.5 / weight.norm())
                    # Channels last, as filters lie in memory; the order of a matrix's columns makes no difference.
                    filters = direction.permute(0, 2, 3, 1)
                    direction = orthogonalised(filters.flatten(1)).view_as(filters).permute(0, 3, 1, 2)
                weight.add_(direction, alpha=-group["lr"])
        return loss


def orthogonalised(matrix: Tensor) -> Tensor:
    """Return roughly U Vᵀ of the matrix's singular value decomposition, by Newton-Schulz iteration.

    Coefficients and the three steps as in Jordan et al. 2024: large singular values end between about 0.7 and 1.2,
    small ones stay below; near enough, and far cheaper than exact. In bf16, as theirs, but not on a processor without
    instructions for it: there these few products took 29 % of a training step of mien-s and 56 % of mien-m's.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.bfloat16() if matrix.is_cuda or native_bf16() else matrix
    x = x / (x.norm() + 1e-7)
    tall = len(x) > x.shape[1]
    if tall:
        x = x.T
    for _ in range(3):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    orthogonal: Tensor = (x.T if tall else x).to(matrix.dtype)
    return orthogonal


def make_optimiser(network: nn.Module, recipe: OptimiserSection) -> Optimizer:
    """Return the recipe's optimiser over every weight that is trained."""
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    filters = [weight for weight in weights if weight.ndim == 4]
    matrices = [weight for weight in weights if 1 < weight.ndim < 4]
    vectors = [weight for weight in weights if weight.ndim <= 1]
    decay, vector_decay = recipe.weight_decay, recipe.weight_decay if recipe.decay == "all" else 0.0
    if recipe.name == "muon":
        sgd = {"lr": recipe.lr, "momentum": recipe.momentum}
        muon = {"lr": recipe.muon_lr, "momentum": recipe.muon_momentum, "muon": True}
        groups: list[dict[str, Any]] = [
            {"params": filters, **muon},  # unit scale is Muon's own restraint; a penalty on top would do nothing
            {"params": matrices, **sgd, "weight_decay": decay},
            {"params": vectors, **sgd, "weight_decay": vector_decay},
        ]
        return MuonAndSGD([group for group in groups if group["params"]])
    groups = [
        {"params": filters + matrices, "weight_decay": decay},
        {"params": vectors, "weight_decay": vector_decay},
    ]
    groups = [group for group in groups if group["params"]]
    match recipe.name:
        case "sgd":
            nesterov = recipe.nesterov and recipe.momentum > 0
            return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=nesterov)
        case "rmsprop":
            return torch.optim.RMSprop(groups, lr=recipe.lr, momentum=recipe.momentum)
        case "adam":
            return torch.optim.Adam(groups, lr=recipe.lr)
        case "adamw":
            return torch.optim.AdamW(groups, lr=recipe.lr)


def rate(step: int, schedule: ScheduleSection, *, steps: int, epochs: int) -> float:
    """Return the rate at a step as a share of its peak; `plateau` is not a matter of steps and stays at 1.

    Args:
        step: Steps done, 0 to `steps` - 1.
        schedule: The recipe's.
        steps: Steps of the whole run.
        epochs: Epochs of the whole run.
    """
    if schedule.name == "plateau":
        return 1.0
    peak = max(1.0, schedule.warmup * steps)
    if step + 1 <= peak:
        return (step + 1) / peak if schedule.warmup > 0 else 1.0
    left = (steps - step) / max(1.0, steps - peak)  # 1 at the peak, nearly 0 at the last step
    match schedule.name:
        case "constant":
            return 1.0
        case "triangle":
            return min(1.0, left)
        case "cosine":
            return (1 - math.cos(math.pi * min(1.0, left))) / 2
        case "step":
            return schedule.factor ** (step * epochs // steps // schedule.step_epochs)
