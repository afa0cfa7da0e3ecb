"""A trained network, ready to be asked: as torch holds it, before it is exported.

In: a run folder, or a network and its inputs.  Out: logits.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mien.classifier import softmax
from mien.preprocess import network_input
from mien.training.run_folder import RunFolder

BATCH = 256  # faces that are asked at once


class TorchClassifier:
    """A finished run, ready to be asked, with the same two methods as `mien.classifier.Classifier`.

    Attributes:
        card: What the exported model would say of itself.
    """

    def __init__(self, run: RunFolder) -> None:
        self.card = run.card()
        self._network = run.network()

    def logits(self, faces_u8: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the network's raw outputs, (N, labels) float32, in single precision."""
        return network_logits(self._network, network_input(faces_u8, self.card.input))

    def probabilities(self, faces_u8: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return calibrated probabilities, (N, labels) float32, rows summing to 1."""
        assert self.card.calibration is not None
        return softmax(self.logits(faces_u8), self.card.calibration.temperature)


def network_logits(network: nn.Module, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a network's outputs for (N, C, H, W) inputs, in single precision and evaluation mode."""
    with torch.inference_mode():
        outputs = [network.eval()(torch.from_numpy(inputs[i : i + BATCH])) for i in range(0, len(inputs), BATCH)]
    return np.concatenate([output.numpy() for output in outputs])
