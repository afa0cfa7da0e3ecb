"""One step of training, as Lightning wants it told."""

from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from mien.preprocess import InputSpec
from mien.training.augmentation import augment, mix
from mien.training.batches import Batch
from mien.training.optimiser import make_optimiser, rate
from mien.training.recipe import Recipe

VALIDATION_LOSS = "validation_loss"  # what schedules and early stopping watch


class TrainingModule(pl.LightningModule):
    """A network and what a recipe does to it at each step.

    Attributes:
        network: Takes (N, C, H, W) float32, returns (N, classes) logits.
        class_weights: (classes,) weights in the loss, 1 on average over the training faces.
    """

    class_weights: Tensor

    def __init__(self, network: nn.Module, recipe: Recipe, spec: InputSpec, class_counts: Tensor) -> None:
        """Prepare to train.

        Args:
            network: The network.
            recipe: What to do to it.
            spec: Its input.
            class_counts: (classes,) training faces of each class.
        """
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._recipe = recipe
        self._spec = spec
        balanced = class_counts.sum() / (len(class_counts) * class_counts.clamp(min=1))
        weights = balanced if recipe.class_weights == "balanced" else torch.ones(len(class_counts))
        self.register_buffer("class_weights", weights.float(), persistent=False)

    def training_step(self, batch: Batch, batch_index: int) -> dict[str, Tensor]:
        """Return the loss of one batch, and how many of its faces were right."""
        recipe = self._recipe
        draws = torch.Generator().manual_seed(batch.seed)
        # In single precision also where the network runs in bf16: coordinates in bf16 are off by up to 0.04 pixels.
        with torch.autocast(self.device.type, enabled=False):
            inputs = augment(batch.faces_u8, batch.mirrored, recipe.augmentation, self._spec, draws)
            targets = F.one_hot(batch.labels, len(self.class_weights)).float()
            inputs, targets = mix(inputs, targets, recipe.augmentation, draws)
        logits = self.network(inputs.contiguous(memory_format=torch.channels_last)).float()
        loss = F.cross_entropy(logits, targets, weight=self.class_weights, label_smoothing=recipe.label_smoothing)
        return {"loss": loss, "right": (logits.detach().argmax(1) == targets.argmax(1)).sum()}

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> dict[str, Tensor]:
        """Return the summed loss of (inputs, labels), without smoothing, and how many were right."""
        inputs, labels = batch
        logits = self.network(inputs.contiguous(memory_format=torch.channels_last)).float()
        loss_sum = F.cross_entropy(logits, labels, reduction="sum")
        self.log(VALIDATION_LOSS, loss_sum / len(labels), batch_size=len(labels))
        return {"loss_sum": loss_sum, "right": (logits.argmax(1) == labels).sum()}

    def configure_optimizers(self) -> Any:
        """Return the optimiser, its rate following the recipe's schedule."""
        schedule = self._recipe.schedule
        optimiser = make_optimiser(self.network, self._recipe.optimiser)
        if schedule.name == "plateau":
            plateau = ReduceLROnPlateau(optimiser, factor=schedule.factor, patience=schedule.patience)
            return {"optimizer": optimiser, "lr_scheduler": {"scheduler": plateau, "monitor": VALIDATION_LOSS}}
        steps, epochs = int(self.trainer.estimated_stepping_batches), self._recipe.epochs
        by_step = LambdaLR(optimiser, lambda step: rate(step, schedule, steps=steps, epochs=epochs))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": by_step, "interval": "step"}}
