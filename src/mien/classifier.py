"""A model file and a batch of faces -> probabilities.

Runs on onnxruntime; evaluation and reading share it, so a model is judged by the very code that reads with it.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.card import METADATA_KEY, ModelCard
from mien.errors import InputError, ModelError
from mien.preprocess import network_input
from mien.weights import DEFAULT_MODEL, model_path

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

# Microsoft's builds of onnxruntime report their use to Microsoft unless this is set before they are imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


class Classifier:
    """A model, ready to be asked.

    Attributes:
        card: What the model file says of itself.
    """

    def __init__(self, model: str | Path = DEFAULT_MODEL, *, threads: int = 1) -> None:
        """Open a model.

        Args:
            model: A bundled model's name or the path of an ONNX file with a card.
            threads: Threads that one call to `probabilities` may use.

        Raises:
            ModelError: No such model, not an ONNX file, or one without a card.
        """
        self.path = model_path(model)
        self._session = open_session(self.path, threads=threads)
        text = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        if text is None:
            raise ModelError(f"{self.path} has no mien card inside; make the file with `mien export`.")
        self.card = ModelCard.from_json(text, source=str(self.path))
        self._input_name = self._session.get_inputs()[0].name

    def logits(self, faces_u8: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the network's raw outputs, (N, labels) float32, for (N, face_px, face_px[, 3]) uint8 faces.

        Raises:
            InputError: The faces have another type or shape.
        """
        spec = self.card.input
        shape = (spec.face_px, spec.face_px) if spec.channels == 1 else (spec.face_px, spec.face_px, spec.channels)
        if faces_u8.dtype != np.uint8 or faces_u8.shape[1:] != shape:
            wanted = ", ".join(map(str, shape))
            raise InputError(
                f"Model {self.path.stem} takes uint8 faces of shape (N, {wanted}), as `crop_face` and a FaceSet give "
                f"them; got {faces_u8.dtype} {faces_u8.shape}."
            )
        outputs = self._session.run(None, {self._input_name: network_input(faces_u8, self.card.input)})
        return np.asarray(outputs[0], np.float32)

    def probabilities(self, faces_u8: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return calibrated probabilities.

        Args:
            faces_u8: (N, face_px, face_px) grey or (N, face_px, face_px, 3) RGB, as `crop_face` or a FaceSet gives.

        Returns:
            (N, labels) float32, rows summing to 1; element i, j is the probability that face i shows `card.labels[j]`.

        Raises:
            InputError: The faces have another type or shape.
        """
        if len(faces_u8) == 0:
            return np.empty((0, len(self.card.labels)), np.float32)
        temperature = self.card.calibration.temperature if self.card.calibration else 1.0
        return softmax(self.logits(faces_u8), temperature)


def open_session(path: Path, *, threads: int) -> "InferenceSession":
    """Open an ONNX file in onnxruntime.

    Raises:
        ModelError: Not an ONNX file.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors only: a warning on a healthy model helps nobody
    try:
        return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a dozen private types for a broken file
        raise ModelError(f"{path} is not an ONNX model that can be opened; export it again.") from error


def softmax(logits: NDArray[np.float32], temperature: float = 1.0) -> NDArray[np.float32]:
    """Return the softmax of logits / temperature over the last axis, float32."""
    scaled = logits / np.float32(temperature)
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)
