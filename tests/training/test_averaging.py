import torch

from mien.training.averaging import RunningMean


def test_the_mean_follows_quickly_at_first_and_by_its_decay_later() -> None:
    """Against the formula: after n updates it keeps min(decay, (1 + n) / (10 + n)) of itself."""
    average = RunningMean(0.9)._kwargs["multi_avg_fn"]
    for updates, kept in [(0, 0.1), (1, 2 / 11), (10, 11 / 20), (80, 0.9), (10_000, 0.9)]:
        means = [torch.zeros(1), torch.zeros(2, 3)]
        average(means, [torch.ones(1), torch.ones(2, 3)], torch.tensor(updates))
        torch.testing.assert_close(means, [torch.full((1,), 1 - kept), torch.full((2, 3), 1 - kept)])


def test_counts_are_those_of_the_current_weights() -> None:
    average = RunningMean(0.9)._kwargs["multi_avg_fn"]
    seen = [torch.tensor(3)]
    average(seen, [torch.tensor(8)], 50)
    assert seen == [torch.tensor(8)]
