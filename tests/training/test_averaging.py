import torch

from mien.training.averaging import RunningMean


def test_the_mean_follows_quickly_at_first_and_by_its_decay_later() -> None:
    """Against the formula: after n updates it keeps min(decay, (1 + n) / (10 + n)) of itself."""
    average = RunningMean(0.9)._kwargs["avg_fn"]
    zero, one = torch.zeros(1), torch.ones(1)
    for updates, kept in [(0, 0.1), (1, 2 / 11), (10, 11 / 20), (80, 0.9), (10_000, 0.9)]:
        torch.testing.assert_close(average(zero, one, torch.tensor(updates)), torch.tensor([1 - kept]))
