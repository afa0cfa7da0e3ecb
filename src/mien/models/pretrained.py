"""Weights that somebody else has trained -> the thirteen convolutions of a VGG16.

In: a file in one of the formats that VGGFace and ImageNet's VGG16 are published in.  Out: the network's convolutions
hold its values; everything after them keeps its own first weights, as in Jawade's models.

| source | file | names in it |
|---|---|---|
| vggface | `vgg_face_dag.pth` (Oxford; or the same as .safetensors) | conv1_1.weight … fc8.bias |
| vggface | `rcmalli_vggface_tf_vgg16.h5`, `…_tf_notop_vgg16.h5` (Keras) | groups conv1_1 … fc8 |
| vgg16-imagenet | `vgg16-397923af.pth` (torchvision; or as .safetensors) | features.0.weight … classifier.6.bias |
"""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from mien.errors import ModelError, WeightsError
from mien.files import sha256
from mien.weights import fetch, home

Source = Literal["vggface", "vgg16-imagenet"]

VGGFACE_FILES = ("vgg_face_dag.pth", "rcmalli_vggface_tf_notop_vgg16.h5", "rcmalli_vggface_tf_vgg16.h5")
CONVS = ("1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "3_3", "4_1", "4_2", "4_3", "5_1", "5_2", "5_3")
WIDTHS = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
SHAPES = [(out, before, 3, 3) for out, before in zip(WIDTHS, (3, *WIDTHS[:-1]), strict=True)]


@dataclass(frozen=True, slots=True)
class _Format:
    """How a source names its layers, and what may be done with it.

    Attributes:
        convs: Names of the thirteen convolutions, in order.
        heads: Names of the affine layers, which we leave.
        terms: What a model that starts from it has to say in its licence.
    """

    convs: tuple[str, ...]
    heads: tuple[str, ...]
    terms: str


_FORMATS: dict[Source, _Format] = {
    "vggface": _Format(
        convs=tuple(f"conv{number}" for number in CONVS),
        heads=("fc6", "fc7", "fc8"),
        terms="started from the VGGFace weights (Oxford VGG), whose terms are non-commercial research",
    ),
    "vgg16-imagenet": _Format(
        convs=tuple(f"features.{place}" for place in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)),
        heads=("classifier.0", "classifier.3", "classifier.6"),
        terms="started from torchvision's VGG16 weights (BSD-3-Clause, trained on ImageNet)",
    ),
}


@dataclass(frozen=True, slots=True)
class Pretrained:
    """Thirteen convolutions, read and checked.

    Attributes:
        source: What they were trained on.
        file: Name of the file.
        sha256: Its hash.
        convs: (weight, bias) of each convolution, in order; input channels are RGB.
    """

    source: Source
    file: str
    sha256: str
    convs: tuple[tuple[Tensor, Tensor], ...]

    def __str__(self) -> str:
        """Return what a card says of it."""
        return f"{self.source} ({self.file}, SHA-256 {self.sha256[:12]}…)"


def read_pretrained(source: Source, file: str | None) -> Pretrained:
    """Read a file of pretrained weights.

    Args:
        source: What they were trained on.
        file: Path of the file; None takes what lies in mien's home, and downloads ImageNet's if it does not.

    Raises:
        WeightsError: No such file, not one of the formats, or other names or shapes; the message has the first.
    """
    if file is not None:
        path = Path(file)
    elif source == "vggface":
        path = _vggface()
    else:
        path = fetch(source)
    if not path.is_file():
        raise WeightsError(f"There is no weights file {path}; give the path of one with --set start.file=PATH.")
    format_ = _FORMATS[source]
    values = _read(path)
    convs = []
    for name, shape in zip(format_.convs, SHAPES, strict=True):
        _check(values, f"{name}.weight", shape, path, source)
        _check(values, f"{name}.bias", shape[:1], path, source)
        convs.append((values[f"{name}.weight"].float(), values[f"{name}.bias"].float()))
    for name in values:
        if name.rpartition(".")[0] not in (*format_.convs, *format_.heads):
            raise WeightsError(f"{path} has {name}, which the VGG16 of {source} has not; is it another network's file?")
    return Pretrained(source, path.name, sha256(path), tuple(convs))


def _vggface() -> Path:
    for name in VGGFACE_FILES:
        if (home() / name).is_file():
            return home() / name
    raise WeightsError(
        f"VGGFace's weights are not ours to pass on: get {VGGFACE_FILES[0]} (Oxford VGG) or keras-vggface's "
        f"{VGGFACE_FILES[1]}, and put it into {home()}, or name it with --set start.file=PATH; "
        "--set start=null trains from scratch."
    )


def terms(source: Source) -> str:
    """Return what a model that starts from a source's weights has to say in its licence."""
    return _FORMATS[source].terms


def check_takes_vgg16(network: nn.Module, name: str) -> None:
    """Raise ModelError unless the network has VGG16's thirteen convolutions, and no other."""
    shapes = [tuple(conv.weight.shape) for conv in _convs(network)]
    if shapes != SHAPES:
        raise ModelError(
            "Pretrained VGG16 weights fit a network with its thirteen convolutions for RGB faces, as jawade-main, "
            f"and {name} has others; train it from scratch with --set start=null."
        )


def fill(network: nn.Module, pretrained: Pretrained) -> None:
    """Copy the weights into a network that `check_takes_vgg16` lets pass."""
    with torch.no_grad():
        for conv, (weight, bias) in zip(_convs(network), pretrained.convs, strict=True):
            conv.weight.copy_(weight)
            assert conv.bias is not None
            conv.bias.copy_(bias)


def _convs(network: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]


def _check(values: dict[str, Tensor], name: str, shape: tuple[int, ...], path: Path, source: str) -> None:
    if name not in values:
        raise WeightsError(f"{path} has no {name}, which the VGG16 of {source} has; is it another network's file?")
    if tuple(values[name].shape) != shape:
        raise WeightsError(
            f"{path} has {name} of {tuple(values[name].shape)}, and VGG16's is {shape}; it is another "
            "network's file, so name VGG16's."
        )


def _read(path: Path) -> dict[str, Tensor]:
    """Return the values of a file by name, torch's layout, or say that it is none of the formats."""
    if path.suffix in (".h5", ".hdf5"):
        return _read_keras(path)
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise WeightsError(f"{path} is not a safetensors file ({error}); get it anew.") from error
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as error:
        raise WeightsError(
            f"{path} is not a torch state dict that can be read safely ({type(error).__name__}); "
            "wanted a .pth, .safetensors or .h5 file of weights alone."
        ) from error
    if not isinstance(values, dict) or not all(isinstance(value, Tensor) for value in values.values()):
        raise WeightsError(
            f"{path} holds no state dict; wanted names and tensors, nothing else; save the network's `state_dict()`."
        )
    return values


def _read_keras(path: Path) -> dict[str, Tensor]:
    import h5py

    values: dict[str, Tensor] = {}
    try:
        with h5py.File(path, "r") as file:
            for layer in file.attrs["layer_names"]:
                layer = layer.decode() if isinstance(layer, bytes) else layer
                group = file[layer]
                for name in group.attrs["weight_names"]:
                    array = np.asarray(group[name])
                    # Keras has (height, width, in, out) and (in, out), torch (out, in, height, width) and (out, in).
                    axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(array.ndim, tuple(range(array.ndim)))
                    kind = "weight" if array.ndim > 1 else "bias"
                    values[f"{layer}.{kind}"] = torch.from_numpy(np.ascontiguousarray(array.transpose(axes)))
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise WeightsError(
            f"{path} is not a Keras file of weights ({error}); get it anew, or give a .pth or .safetensors."
        ) from error
    first = values.get("conv1_1.weight")
    if first is not None and first.ndim == 4:
        values["conv1_1.weight"] = first.flip(1)  # keras-vggface feeds BGR (its utils.preprocess_input), we feed RGB
    return values
