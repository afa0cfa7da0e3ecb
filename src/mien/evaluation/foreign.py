"""Somebody else's ONNX classifier, described by a small YAML file, so that peers are judged on the same faces.

In: a YAML file, see `ForeignDescription`.  Out: a model that answers with our labels.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator

from mien.classifier import open_session, softmax
from mien.errors import ModelError, unknown_name
from mien.labels import EIGHT_EXPRESSIONS, expression_named
from mien.preprocess import InputSpec, crop_face
from mien.training.recipe import Section
from mien.training.yaml_files import first_problem, read_yaml


class ForeignInput(Section):
    """What the network takes."""

    size: int = Field(ge=8, le=1024)
    """Side of the square, in pixels."""
    colour: Literal["grey", "rgb", "bgr"]
    """Its channels, in order."""
    scale: tuple[float, float] = (0.0, 1.0)
    """What the pixel values 0 and 255 become, as [-1, 1]."""
    mean: tuple[float, ...] = (0.0,)
    """Taken away after that: one value, or one for each channel."""
    std: tuple[float, ...] = (1.0,)
    """Then divided by."""
    layout: Literal["nchw", "nhwc"]
    """Where the channels stand."""

    @property
    def channels(self) -> int:
        """Channels of a pixel."""
        return 1 if self.colour == "grey" else 3

    @model_validator(mode="after")
    def _one_value_a_channel(self) -> "ForeignInput":
        if not {len(self.mean), len(self.std)} <= {1, self.channels} or 0 in self.std:
            raise ValueError("mean and std need one value, or one for each channel, and no std of 0")
        return self


class ForeignDescription(Section):
    """The YAML file; docs/evaluation.md has an example."""

    model: str
    """The ONNX file, as seen from this one."""
    input: ForeignInput
    """What the network takes."""
    labels: tuple[str, ...] = Field(min_length=2)
    """Expressions in the order of its outputs, by our names or those that datasets use: happy, happiness."""
    outputs: Literal["logits", "probabilities"]
    """Whether a softmax is still to come."""


class ForeignModel:
    """Somebody else's model, ready to be asked.

    Attributes:
        weights: Its ONNX file.
        labels: Our names of its classes, in the order of its outputs.
        crop: The crop that it wants, as `crop_face` cuts it; what it makes of the pixels stays its own.
        parameters: Values in its float tensors.
        macs: Multiply-accumulates for one face; None where its graph has layers that we cannot count.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        """Open the model that a YAML file describes, and try it on a blank face.

        Raises:
            ModelError: The description, its model or one of its labels is wrong.
        """
        description = _read(path)
        self.weights = path.parent / description.model
        self.labels = tuple(_our_name(label, path) for label in description.labels)
        if len(set(self.labels)) < len(self.labels):
            raise ModelError(
                f"{path}: two of the labels {', '.join(description.labels)} mean the same expression; name each once."
            )
        if not self.weights.is_file():
            raise ModelError(
                f"{path} names the model {description.model}, and there is no file {self.weights}; "
                "mend `model`, which is seen from the YAML file."
            )
        self._input, self._outputs = description.input, description.outputs
        self.crop = InputSpec.of_crop(self._input.size, self._input.channels)
        self._session = open_session(self.weights, threads=threads)
        self._one_at_a_time = self._session.get_inputs()[0].shape[:1] == [1]
        self._try(path)
        graph = onnx.load(self.weights)
        self.parameters = count_parameters(graph)
        self.macs = count_macs(graph)

    def probabilities(self, faces_u8: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return (N, labels) float32 for (N, S, S) grey or (N, S, S, 3) RGB faces of any size S."""
        outputs = self._answer(faces_u8)
        return softmax(outputs) if self._outputs == "logits" else outputs

    def _answer(self, faces_u8: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return what the network itself gives, (N, labels)."""
        batch = self.network_input(faces_u8)
        name = self._session.get_inputs()[0].name
        batches = np.split(batch, len(batch)) if self._one_at_a_time else [batch]
        # Some models give a single face's outputs without the batch's dimension.
        answers = [np.asarray(self._session.run(None, {name: part})[0]) for part in batches]
        if self._one_at_a_time:
            answers = [answer.reshape(1, -1) for answer in answers]
        outputs = np.concatenate(answers)
        if len(outputs) != len(batch):
            raise ValueError(f"{len(outputs)} answers for {len(batch)} faces")
        if not np.isfinite(outputs).all():
            raise ModelError(
                f"{self.weights.name} gives numbers that are none (NaN or infinite) for some faces; mend it."
            )
        return outputs.reshape(len(outputs), -1).astype(np.float32)

    def network_input(self, faces_u8: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return (N, C, H, W) or (N, H, W, C) float32 for (N, S, S) grey or (N, S, S, 3) RGB faces of any size S."""
        wanted, faces = self._input, faces_u8
        if faces_u8.shape[1:] != (wanted.size,) * 2 + ((3,) if wanted.channels == 3 else ()):
            side = faces_u8.shape[1]
            to_bgr = cv2.COLOR_GRAY2BGR if faces_u8.ndim == 3 else cv2.COLOR_RGB2BGR
            images = (np.asarray(cv2.cvtColor(face, to_bgr), np.uint8) for face in faces_u8)
            faces = np.stack([crop_face(image, (0, 0, side, side), self.crop) for image in images])
        pixels = faces[..., None] if wanted.channels == 1 else faces[..., ::-1] if wanted.colour == "bgr" else faces
        low, high = wanted.scale
        scaled = low + pixels.astype(np.float32) / 255 * (high - low)
        normal = (scaled - np.array(wanted.mean, np.float32)) / np.array(wanted.std, np.float32)
        return np.ascontiguousarray(normal if wanted.layout == "nhwc" else normal.transpose(0, 3, 1, 2), np.float32)

    def _try(self, path: Path) -> None:
        """Raise ModelError unless blank faces give one number a label, and what is promised."""
        blank = np.full((2, 48, 48), 128, np.uint8)
        try:
            try:
                found = self._answer(blank)
            except ModelError:
                raise
            except Exception:  # it may say that it takes any number of faces, and take one
                self._one_at_a_time = True
                found = self._answer(blank)
        except ModelError:
            raise
        except Exception as error:  # onnxruntime's private types: a wrong size, layout or kind of number
            wanted = self._session.get_inputs()[0]
            raise ModelError(
                f"{path} describes an input that {self.weights.name} does not take: it wants {wanted.shape} of "
                f"{wanted.type}; mend size, colour or layout, or export it for one face or any number of them."
            ) from error
        if found.shape[1] != len(self.labels):
            raise ModelError(
                f"{path} has {len(self.labels)} labels, and {self.weights.name} gives {found.shape[1]}; "
                "name one label for each output."
            )
        are_shares = found.min() > -1e-3 and np.abs(found.sum(1) - 1).max() < 1e-3
        if are_shares != (self._outputs == "probabilities"):
            gives, say = ("probabilities", "probabilities") if are_shares else ("no probabilities", "logits")
            raise ModelError(f"{self.weights.name} gives {gives}; say `outputs: {say}` in {path}.")


def _read(path: Path) -> ForeignDescription:
    if not path.is_file():
        raise ModelError(f"There is no file {path}; it should describe somebody else's ONNX model.")
    try:
        return ForeignDescription.model_validate(read_yaml(path, ModelError))
    except ValidationError as error:
        problem = first_problem(error, ForeignDescription)
        raise ModelError(f"{path}: {problem} See docs/evaluation.md for an example.") from error


def _our_name(label: str, path: Path) -> str:
    name = expression_named(label)
    if name is None:
        raise ModelError(f"{path}: {unknown_name('expression', label, EIGHT_EXPRESSIONS)}")
    return name


def count_parameters(graph: onnx.ModelProto) -> int:
    """Return the number of values in a model's float tensors."""
    kinds = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    weights = [tensor for tensor in graph.graph.initializer if tensor.data_type in kinds]
    return sum(int(np.prod(tensor.dims)) for tensor in weights)


def count_macs(graph: onnx.ModelProto) -> int | None:
    """Return a model's multiply-accumulates for one face: convolutions and affine layers count, as is usual.

    None if a layer's shape cannot be worked out, or if the graph has other layers that multiply.
    """
    try:
        inferred = onnx.shape_inference.infer_shapes(graph).graph
    except Exception:  # onnx raises its own type for a graph that it cannot follow
        return None
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*inferred.input, *inferred.value_info, *inferred.output)
    } | {tensor.name: list(tensor.dims) for tensor in inferred.initializer}  # which older files list as inputs too
    counted = [_macs(node, shapes) for node in inferred.node]
    return None if None in counted else sum(macs for macs in counted if macs is not None)


def _macs(node: onnx.NodeProto, shapes: Mapping[str, list[int]]) -> int | None:
    if node.op_type in ("ConvTranspose", "Einsum", "LSTM", "GRU", "RNN", "Loop", "If") or "Integer" in node.op_type:
        return None
    if node.op_type.startswith("QLinear"):
        return None
    if node.op_type not in ("Conv", "Gemm", "MatMul", "FusedConv"):
        return 0
    output, weight = shapes.get(node.output[0], [0, 0])[1:], shapes.get(node.input[1], [0, 0])  # of one face
    if 0 in output:
        return None
    if "Conv" in node.op_type:
        per_value = int(np.prod(weight[1:]))
    else:  # a sum over the inner dimension; only Gemm may have its weight transposed
        per_value = weight[-2] if node.op_type == "MatMul" else int(np.prod(weight)) // output[-1]
    return int(np.prod(output)) * per_value if per_value else None
