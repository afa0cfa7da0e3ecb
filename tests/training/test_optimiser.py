import pytest
import torch
from torch import nn

from mien.training.optimiser import MuonAndSGD, make_optimiser, orthogonalised, rate
from mien.training.recipe import OptimiserSection, ScheduleSection


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


@pytest.mark.parametrize("bf16", [True, False])
@pytest.mark.parametrize("shape", [(8, 40), (40, 8), (16, 16)])
def test_orthogonalised_keeps_directions_and_evens_singular_values(
    shape: tuple[int, int], bf16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.training.optimiser.native_bf16", lambda: bf16)
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    result = orthogonalised(matrix)
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    aligned = torch.diagonal(u.T @ result @ v.T)
    assert 0.7 < aligned.median() < 1.2
    assert aligned.max() < 1.4
    assert aligned.max() / aligned.min() < 0.3 * s.max() / s.min() or aligned.min() > 0.5, "small ones stay below"
    assert (u.T @ result @ v.T - torch.diag(aligned)).abs().max() < 0.1


def test_orthogonalised_is_in_single_precision_where_bf16_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = torch.randn((16, 40), generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr("mien.training.optimiser.native_bf16", lambda: False)
    exact = orthogonalised(matrix.double())
    errors = []
    for bf16 in (True, False):
        monkeypatch.setattr("mien.training.optimiser.native_bf16", lambda bf16=bf16: bf16)
        errors.append(float((orthogonalised(matrix) - exact).abs().max()))
    assert errors[0] > 1e-3
    assert errors[1] < 1e-5


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


def test_muon_moves_filters_and_sgd_the_rest_each_by_its_own_settings() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))
    settings = {"lr": 0.03, "momentum": 0.8, "muon_lr": 0.2, "muon_momentum": 0.5, "weight_decay": 0.01}
    groups = make_optimiser(network, OptimiserSection.model_validate(settings | {"name": "muon"})).param_groups
    told = [
        (group["params"][0].ndim, group["muon"], group["lr"], group["momentum"], group["weight_decay"])
        for group in groups
    ]
    assert told == [(4, True, 0.2, 0.5, 0), (2, False, 0.03, 0.8, 0.01), (1, False, 0.03, 0.8, 0)]
    assert len(groups[2]["params"]) == 4, "biases, and what the norm learns"


def _rates(steps: int = 100, epochs: int = 10, **settings: object) -> list[float]:
    schedule = ScheduleSection.model_validate(settings)
    return [rate(step, schedule, steps=steps, epochs=epochs) for step in range(steps)]


def test_the_triangle_rises_to_one_and_falls_to_nearly_nothing() -> None:
    rates = _rates(name="triangle", warmup=0.1)
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == 1
    assert rates[-1] == pytest.approx(1 / 90)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_the_cosine_is_half_a_wave() -> None:
    rates = _rates(name="cosine", warmup=0)
    assert rates[0] == 1
    assert rates[50] == pytest.approx(0.5, abs=0.02)
    assert rates[25] == pytest.approx((1 + 2**-0.5) / 2, abs=0.02)
    assert rates[-1] < 0.001


def test_the_step_falls_by_its_factor_every_so_many_epochs() -> None:
    rates = _rates(name="step", warmup=0, step_epochs=4, factor=0.5)
    assert rates == [1.0] * 40 + [0.5] * 40 + [0.25] * 20


def test_constant_and_plateau_stay() -> None:
    assert _rates(name="constant", warmup=0) == [1.0] * 100
    assert _rates(name="constant", warmup=0.2)[:3] == pytest.approx([0.05, 0.1, 0.15])
    assert _rates(name="plateau") == [1.0] * 100


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"name": "sgd", "nesterov": False}, torch.optim.SGD),
        ({"name": "sgd", "nesterov": True}, torch.optim.SGD),
        ({"name": "rmsprop"}, torch.optim.RMSprop),
        ({"name": "adam"}, torch.optim.Adam),
        ({"name": "adamw"}, torch.optim.AdamW),
    ],
)
def test_every_optimiser_gets_what_the_recipe_says(settings: dict[str, object], kind: type) -> None:
    recipe = OptimiserSection.model_validate(settings | {"lr": 0.003, "momentum": 0.7, "weight_decay": 0.02})
    optimiser = make_optimiser(nn.Linear(3, 2), recipe)
    assert type(optimiser) is kind
    matrices, vectors = optimiser.param_groups
    assert matrices["lr"] == vectors["lr"] == 0.003
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.02, 0)
    assert matrices.get("momentum", 0.7) == 0.7
    assert matrices.get("nesterov", False) == settings.get("nesterov", False)
    everything = make_optimiser(nn.Linear(3, 2), recipe.model_copy(update={"decay": "all"}))
    assert [group["weight_decay"] for group in everything.param_groups] == [0.02, 0.02]
