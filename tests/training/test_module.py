import numpy as np
import pytest
import torch
from torch import nn

from mien.preprocess import network_input
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

    def __init__(self, outputs: int = 7) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.affine = nn.Linear(44 * 44, outputs)

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
        {"blur": 0.1, "blur_share": 1.0},
        {"noise": 0.2, "noise_share": 1.0},
        {"mixup_alpha": 0.5, "mixup_share": 1.0},
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
    if "cutout_px" in change:
        assert (seen[0] == 0).flatten(1).sum(1).min() > 100, "covered with the mean, which is 0 to the network"


@pytest.mark.parametrize("mixup", [{}, {"mixup_alpha": 1.0, "mixup_share": 1.0}])
def test_the_head_on_votes_adds_its_share_to_the_loss(mixup: dict[str, float]) -> None:
    """Cross-entropy with the voters' shares, mixed as the faces are, times `vote_head`."""
    votes = torch.softmax(3 * torch.randn(8, 10, generator=torch.Generator().manual_seed(1)), 1)
    batch = _batch()._replace(votes=votes)
    augmentation = RECIPE.augmentation.model_copy(update=mixup)
    recipe = RECIPE.model_copy(update={"augmentation": augmentation, "label_smoothing": 0.0})
    losses = []
    for share in (0.0, 0.5):
        targets = recipe.targets.model_copy(update={"vote_head": share})
        network = Listening(outputs=17)
        module = TrainingModule(network, recipe.model_copy(update={"targets": targets}), SPEC, COUNTS)
        losses.append(module.training_step(batch, 0)["loss"].item())
    log_shares = torch.log_softmax(network(network.seen)[:, 7:], 1)
    mixed = _mixed_as(network.seen, batch, votes) if mixup else votes
    expected = 0.5 * -(mixed * log_shares).sum(1).mean()
    assert losses[1] - losses[0] == pytest.approx(expected.item(), rel=1e-4)


def _mixed_as(seen: torch.Tensor, batch: Batch, votes: torch.Tensor) -> torch.Tensor:
    """Return the votes mixed as the faces were: each is a blend of two, and its share is found by least squares."""
    plain = torch.from_numpy(network_input(batch.faces_u8.numpy(), SPEC)).flatten(1)
    shares = torch.linalg.lstsq(plain.T, seen.flatten(1).T).solution.T  # (mixed, of)
    return shares @ votes


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


def test_a_balanced_face_weighs_as_its_class_and_its_smoothed_share_of_others_no_more_than_that() -> None:
    recipe = RECIPE.model_copy(update={"class_weights": "balanced"})
    counts = torch.tensor([10, 0, 30, 40, 50, 60, 70])
    network = Listening()
    module = TrainingModule(network, recipe, SPEC, counts)
    assert module.class_weights[1] == 0, "nothing is learnt of a class without a face"
    assert float((module.class_weights * counts / counts.sum()).sum()) == pytest.approx(1)
    outputs = module.training_step(_batch(), 0)
    target = 0.9 * torch.eye(7)[LABELS] + 0.1 / 7
    losses = -(target * torch.log_softmax(network(network.seen), 1)).sum(1)
    assert outputs["loss"].item() == pytest.approx((module.class_weights[LABELS] * losses).mean().item(), rel=1e-5)
