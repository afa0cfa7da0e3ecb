import numpy as np
import pytest
import torch
from torch import nn

from mien.preprocess import network_input
from mien.training.batches import Batch
from mien.training.module import TrainingModule
from mien.training.recipe import AugmentationSection, load_recipe

RECIPE = load_recipe("mien-s").model_copy(
    update={
        "augmentation": AugmentationSection(
            flip=False, shift_px=0, rotation_deg=0, zoom=0, brightness=0, contrast=0, cutout_px=0, cutout_share=0
        )
    }
)
SPEC = RECIPE.input.spec()


class Listening(nn.Module):
    """A network that keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.affine = nn.Linear(44 * 44, 7)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.seen = inputs
        logits: torch.Tensor = self.affine(inputs.flatten(1))
        return logits


def _batch(seed: int = 0) -> Batch:
    faces = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (8, 48, 48), np.uint8))
    return Batch(faces, torch.arange(8) % 7, torch.zeros(8, dtype=torch.bool), seed)


def test_the_loss_is_cross_entropy_with_label_smoothing() -> None:
    """Against the formula: 0.9 of the target on the label, 0.1 spread over all seven classes."""
    network = Listening()
    outputs = TrainingModule(network, RECIPE, SPEC).training_step(_batch(), 0)
    log_shares = torch.log_softmax(network(network.seen), 1)
    target = 0.9 * torch.eye(7)[_batch().labels] + 0.1 / 7
    expected = -(target * log_shares).sum(1).mean()
    assert outputs["loss"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert int(outputs["right"]) == int((log_shares.argmax(1) == _batch().labels).sum())


@pytest.mark.parametrize("bf16", [False, True])
def test_faces_are_prepared_in_single_precision_whatever_the_network_runs_in(bf16: bool) -> None:
    network = Listening()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        TrainingModule(network, RECIPE, SPEC).training_step(_batch(), 0)
    np.testing.assert_allclose(network.seen.numpy(), network_input(_batch().faces_u8.numpy(), SPEC), atol=2e-3)


@pytest.mark.parametrize(
    "change",
    [
        {"rotation_deg": 12.0},
        {"zoom": 0.2},
        {"shift_px": 3.0},
        {"brightness": 0.2},
        {"contrast": 0.3},
        {"cutout_px": 20},
    ],
)
def test_every_augmentation_of_the_recipe_reaches_the_network_and_follows_the_batchs_seed(
    change: dict[str, float],
) -> None:
    augmentation = RECIPE.augmentation.model_copy(update=change | {"cutout_share": 1.0})
    network = Listening()
    module = TrainingModule(network, RECIPE.model_copy(update={"augmentation": augmentation}), SPEC)
    plain = torch.from_numpy(network_input(_batch().faces_u8.numpy(), SPEC))
    seen = []
    for seed in (1, 1, 2):
        module.training_step(_batch(seed), 0)
        seen.append(network.seen)
    assert (seen[0] - plain).abs().max() > 0.1
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])
