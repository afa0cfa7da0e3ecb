"""The final weights: a running mean over steps (EMA), which follows quickly at first and slowly later."""

from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


class RunningMean(WeightAveraging):
    """Keeps an exponential moving average of weights and batch-norm statistics; validation and checkpoints use it.

    After n steps the mean keeps the share min(decay, (1 + n) / (10 + n)) of itself, so that a short run is not
    judged by its first weights (the warm-up of TensorFlow's ExponentialMovingAverage).
    """

    def __init__(self, decay: float) -> None:
        def average(mean: Tensor, current: Tensor, updates: Tensor | int) -> Tensor:
            keep = min(decay, (1 + int(updates)) / (10 + int(updates)))
            return mean + (1 - keep) * (current - mean)

        super().__init__(avg_fn=average)
