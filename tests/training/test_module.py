import numpy as np
import pytest
import torch
from torch import nn

from mien.preprocess import network_input
from mien.training.augmentation import mix
from mien.training.batches import Batch
from mien.training.module import TrainingModule
from mien.training.recipe import AugmentationSection
from mien.training.recipe_files import load_recipe

RECIPE = load_recipe("mien-s").model_copy(
    update={
        "augmentation": AugmentationSection(
            flip=False, shift_px=0, rotation_deg=0, zoom=0, brightness=0, contrast=0, cutout_px=0, cutout_share=0
        )
    }
)
SPEC = RECIPE.input.spec()
LABELS = torch.arange(8) % 7
COUNTS = torch.tensor([10, 20, 30, 40, 50, 60, 70])


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
    return Batch(faces, torch.eye(7)[LABELS], torch.zeros(8, 0), torch.zeros(8, dtype=torch.bool), seed)


def test_the_loss_is_cross_entropy_with_label_smoothing() -> None:
    """Against the formula: 0.9 of the target on the label, 0.1 spread over all seven classes."""
    network = Listening()
    outputs = TrainingModule(network, RECIPE, SPEC, COUNTS).training_step(_batch(), 0)
    log_shares = torch.log_softmax(network(network.seen), 1)
    target = 0.9 * torch.eye(7)[LABELS] + 0.1 / 7
    expected = -(target * log_shares).sum(1).mean()
    assert outputs["loss"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert int(outputs["right"]) == int((log_shares.argmax(1) == LABELS).sum())


@pytest.mark.parametrize("bf16", [False, True])
def test_faces_are_prepared_in_single_precision_whatever_the_network_runs_in(bf16: bool) -> None:
    network = Listening()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        TrainingModule(network, RECIPE, SPEC, COUNTS).training_step(_batch(), 0)
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
    module = TrainingModule(network, RECIPE.model_copy(update={"augmentation": augmentation}), SPEC, COUNTS)
    plain = torch.from_numpy(network_input(_batch().faces_u8.numpy(), SPEC))
    seen = []
    for seed in (1, 1, 2):
        module.training_step(_batch(seed), 0)
        seen.append(network.seen)
    assert (seen[0] - plain).abs().max() > 0.1
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])


def test_balanced_classes_weigh_as_if_they_were_equally_frequent() -> None:
    recipe = RECIPE.model_copy(update={"class_weights": "balanced", "label_smoothing": 0.0})
    network = Listening()
    module = TrainingModule(network, recipe, SPEC, COUNTS)
    assert float((module.class_weights * COUNTS / COUNTS.sum()).sum()) == pytest.approx(1)
    assert module.class_weights[0] / module.class_weights[6] == pytest.approx(7)
    outputs = module.training_step(_batch(), 0)
    log_shares = torch.log_softmax(network(network.seen), 1)[torch.arange(8), LABELS]
    expected = -(module.class_weights[LABELS] * log_shares).mean()
    assert outputs["loss"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_mixed_faces_have_mixed_labels() -> None:
    """The share is found from the pictures, and the targets must have the same."""
    inputs = torch.randn(16, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    targets = torch.eye(7)[torch.arange(16) % 7]
    recipe = AugmentationSection(mixup_alpha=1.0, mixup_share=1.0)
    mixed, blended = mix(inputs, targets, recipe, torch.Generator().manual_seed(3))
    torch.testing.assert_close(blended.sum(1), torch.ones(16))
    found = 0
    for i in range(16):
        for j in range(16):
            difference = inputs[i] - inputs[j]
            share = float(((mixed[i] - inputs[j]) * difference).sum() / difference.square().sum()) if i != j else 1.0
            if torch.allclose(share * inputs[i] + (1 - share) * inputs[j], mixed[i], atol=1e-5):
                torch.testing.assert_close(blended[i], share * targets[i] + (1 - share) * targets[j], atol=1e-4, rtol=0)
                found += 1
                break
    assert found == 16


def test_the_share_of_mixed_batches_is_the_one_asked_for() -> None:
    inputs, targets = torch.randn(4, 1, 2, 2), torch.eye(4)
    recipe = AugmentationSection(mixup_alpha=0.4, mixup_share=0.3)
    draws = torch.Generator().manual_seed(0)
    mixed = sum(mix(inputs, targets, recipe, draws)[0] is not inputs for _ in range(500))
    assert 110 < mixed < 190
    assert mix(inputs, targets, AugmentationSection(), draws)[0] is inputs
