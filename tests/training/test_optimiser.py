import pytest
import torch
from torch import nn

from mien.training.optimiser import MuonAndSGD, make_optimiser, orthogonalised, triangle
from mien.training.recipe import OptimiserSection


def test_sgd_moves_as_torch_does() -> None:
    torch.manual_seed(0)
    ours, theirs = nn.Linear(5, 3), nn.Linear(5, 3)
    theirs.load_state_dict(ours.state_dict())
    options = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}
    first = MuonAndSGD([{"params": list(ours.parameters()), **options}])
    second = torch.optim.SGD(theirs.parameters(), nesterov=True, **options)
    for step in range(5):
        inputs = torch.randn(8, 5, generator=torch.Generator().manual_seed(step))
        for network, optimiser in ((ours, first), (theirs, second)):
            optimiser.zero_grad()
            network(inputs).square().sum().backward()
            optimiser.step()
    torch.testing.assert_close(ours.weight, theirs.weight)
    torch.testing.assert_close(ours.bias, theirs.bias)


@pytest.mark.parametrize("shape", [(8, 40), (40, 8), (16, 16)])
def test_orthogonalised_keeps_directions_and_evens_singular_values(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    result = orthogonalised(matrix, steps=5)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    aligned = torch.diagonal(u.T @ result @ v.T)
    assert aligned.min() > 0.5
    assert aligned.max() < 1.4
    assert (u.T @ result @ v.T - torch.diag(aligned)).abs().max() < 0.1


def test_a_step_of_muon_is_orthogonal_and_starts_from_filters_of_unit_scale() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 8, 3, bias=False)
    optimiser = make_optimiser(conv, OptimiserSection(name="muon", muon_lr=0.5))
    before = conv.weight.detach().clone()
    conv(torch.randn(2, 4, 8, 8)).square().mean().backward()
    optimiser.step()
    unit = before * 8**0.5 / before.norm()
    values = torch.linalg.svdvals(((unit - conv.weight.detach()) / 0.5).flatten(1))
    assert values.max() < 1.3
    assert values.min() > 0.25
    gradient = torch.linalg.svdvals(conv.weight.grad.flatten(1))
    assert gradient.max() / gradient.min() > 2 * values.max() / values.min(), "more even than the gradient"


def test_weights_that_are_not_trained_are_left_out() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2))
    network[0].weight.requires_grad_(False)
    groups = make_optimiser(network, OptimiserSection(name="sgd")).param_groups
    trained = [weight for group in groups for weight in group["params"]]
    assert len(trained) == 3
    assert all(weight is not network[0].weight for weight in trained)


def test_biases_are_not_decayed() -> None:
    groups = make_optimiser(nn.Linear(3, 2), OptimiserSection()).param_groups
    assert [(group["params"][0].ndim, group["weight_decay"] > 0) for group in groups] == [(2, True), (1, False)]


def test_the_triangle_rises_to_one_and_falls_to_nearly_nothing() -> None:
    rates = [triangle(step, steps=100, warmup=0.1) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == 1
    assert rates[-1] == pytest.approx(1 / 90)
    assert rates[10:] == sorted(rates[10:], reverse=True)
