"""One step of training, as Lightning wants it told."""

from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR

from mien.preprocess import InputSpec
from mien.training.augmentation import augment
from mien.training.batches import Batch
from mien.training.optimiser import make_optimiser, triangle
from mien.training.recipe import Recipe


class TrainingModule(pl.LightningModule):
    """A network and what a recipe does to it at each step.

    Attributes:
        network: Takes (N, C, H, W) float32, returns (N, classes) logits.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, spec: InputSpec) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._recipe = recipe
        self._spec = spec

    def training_step(self, batch: Batch, batch_index: int) -> dict[str, Tensor]:
        """Return the loss of one batch, and how many of its faces were right."""
        draws = torch.Generator().manual_seed(batch.seed)
        # In single precision also where the network runs in bf16: coordinates in bf16 are off by up to 0.04 pixels.
        with torch.autocast(self.device.type, enabled=False):
            inputs = augment(batch.faces_u8, batch.mirrored, self._recipe.augmentation, self._spec, draws)
        logits = self.network(inputs.contiguous(memory_format=torch.channels_last)).float()
        loss = F.cross_entropy(logits, batch.labels, label_smoothing=self._recipe.label_smoothing)
        return {"loss": loss, "right": (logits.detach().argmax(1) == batch.labels).sum()}

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> dict[str, Tensor]:
        """Return the summed loss of (inputs, labels), without smoothing, and how many were right."""
        inputs, labels = batch
        logits = self.network(inputs.contiguous(memory_format=torch.channels_last)).float()
        return {
            "loss_sum": F.cross_entropy(logits, labels, reduction="sum"),
            "right": (logits.argmax(1) == labels).sum(),
        }

    def configure_optimizers(self) -> Any:
        """Return the optimiser, its rate following the recipe's schedule step by step."""
        optimiser = make_optimiser(self.network, self._recipe.optimiser)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = LambdaLR(optimiser, lambda step: triangle(step, steps=steps, warmup=self._recipe.schedule.warmup))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
