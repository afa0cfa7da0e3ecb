"""One step of training, as Lightning wants it told."""

from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from mien.preprocess import InputSpec
from mien.training.augmentation import augment, mix
from mien.training.batches import Batch, draw_seed
from mien.training.optimiser import make_optimiser, rate
from mien.training.recipe import Recipe

VALIDATION_LOSS = "validation_loss"  # what schedules and early stopping watch
DROPOUT = 1  # keeps its draws apart from those of the augmentation, which are the seed's own


class TrainingModule(pl.LightningModule):
    """A network and what a recipe does to it at each step.

    Attributes:
        network: Takes (N, C, H, W) float32 and the batch's features if there are any, returns (N, classes) logits.
        class_weights: (classes,) weights in the loss, 1 on average over the training faces.
    """

    class_weights: Tensor

    def __init__(
        self, network: nn.Module, recipe: Recipe, spec: InputSpec, class_counts: Tensor, *, compiled: bool = False
    ) -> None:
        """Prepare to train.

        Args:
            network: The network; outputs beyond the classes are those of the head on votes.
            recipe: What to do to it.
            spec: Its input.
            class_counts: (classes,) training faces of each class.
            compiled: Whether the steps run through `torch.compile`.
        """
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # The method and not the module: a compiled module would put every weight into the checkpoint twice.
        self._forward: Callable[..., Tensor] = (
            torch.compile(network.forward, dynamic=False) if compiled else network.forward
        )
        self._recipe = recipe
        self._spec = spec
        known = class_counts > 0  # nothing is learnt of a class without a face
        balanced = known * class_counts.sum() / (known.sum() * class_counts.clamp(min=1))
        weights = balanced if recipe.class_weights == "balanced" else torch.ones(len(class_counts))
        self.register_buffer("class_weights", weights.float(), persistent=False)

    def training_step(self, batch: Batch, batch_index: int) -> dict[str, Tensor]:
        """Return the loss of one batch, twice since Lightning divides one by `accumulate`, and how many were right."""
        recipe = self._recipe
        augmentation = recipe.augmentation.at(self.current_epoch, recipe.epochs)
        draws = torch.Generator().manual_seed(batch.seed)
        targets, classes = batch.targets, batch.targets.shape[1]
        early = self.current_epoch < augmentation.early_share * recipe.epochs
        view_px = (augmentation.early_px if early else None) or self._spec.view_px
        # In single precision also where the network runs in bf16: coordinates in bf16 are off by up to 0.04 pixels.
        with torch.autocast(self.device.type, enabled=False):
            inputs = augment(batch.faces_u8, batch.mirrored, augmentation, self._spec, draws, view_px)
            if recipe.targets.kind == "drawn":
                targets = F.one_hot(torch.multinomial(targets.cpu(), 1, generator=draws)[:, 0], classes).to(targets)
            inputs, both = mix(inputs, torch.cat([targets, batch.votes], dim=1), augmentation, draws)
            targets, votes = both[:, :classes], both[:, classes:]
        torch.manual_seed(draw_seed(batch.seed, DROPOUT))  # dropout draws from torch's own generator
        outputs = self._forward(inputs.contiguous(memory_format=torch.channels_last), *batch.features).float()
        logits = outputs[:, :classes]
        losses = F.cross_entropy(logits, targets, reduction="none", label_smoothing=recipe.label_smoothing)
        # A face weighs as its classes do. With `weight=` each class's share of the target would: smoothing's share of a
        # rare class, which no face showed, would count more than what the face does show.
        loss = (losses * (targets @ self.class_weights)).mean()
        if recipe.targets.vote_head:
            loss = loss + recipe.targets.vote_head * F.cross_entropy(outputs[:, classes:], votes)
        return {
            "loss": loss,
            "batch_loss": loss.detach(),
            "right": (logits.detach().argmax(1) == targets.argmax(1)).sum(),
        }

    def validation_step(self, batch: list[Tensor], batch_index: int) -> dict[str, Tensor]:
        """Return the summed loss of (inputs, labels, features …), without smoothing, and how many were right."""
        inputs, labels, *features = batch
        outputs = self.network(inputs.contiguous(memory_format=torch.channels_last), *features).float()
        logits = outputs[:, : len(self.class_weights)]
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

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Step a schedule, but for `plateau`: Lightning would step that after the epoch's checkpoint is written."""
        if not isinstance(scheduler, ReduceLROnPlateau):
            super().lr_scheduler_step(scheduler, metric)

    def on_validation_end(self) -> None:
        """Step `plateau`."""
        scheduler = self.lr_schedulers()
        if isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step(float(self.trainer.callback_metrics[VALIDATION_LOSS]))
