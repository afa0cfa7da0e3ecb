from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mien.errors import ModelError, WeightsError
from mien.models.pretrained import check_takes_vgg16, fill, read_pretrained
from mien.models.registry import build

# VGG16's layers as the published files name them, written down by hand: Oxford's names, their place in torchvision's.
LAYERS = [
    ("conv1_1", 0, 3, 64),
    ("conv1_2", 2, 64, 64),
    ("conv2_1", 5, 64, 128),
    ("conv2_2", 7, 128, 128),
    ("conv3_1", 10, 128, 256),
    ("conv3_2", 12, 256, 256),
    ("conv3_3", 14, 256, 256),
    ("conv4_1", 17, 256, 512),
    ("conv4_2", 19, 512, 512),
    ("conv4_3", 21, 512, 512),
    ("conv5_1", 24, 512, 512),
    ("conv5_2", 26, 512, 512),
    ("conv5_3", 28, 512, 512),
]


def vggface(top: bool = True) -> dict[str, torch.Tensor]:
    """Return a state dict with the names and shapes of vgg_face_dag.pth, its affine layers cut down to a few rows."""
    random = torch.Generator().manual_seed(0)
    values = {}
    for name, _, before, out in LAYERS:
        values[f"{name}.weight"] = torch.randn(out, before, 3, 3, generator=random) * (2 / (9 * before)) ** 0.5
        values[f"{name}.bias"] = torch.randn(out, generator=random) * 0.01
    for name in ("fc6", "fc7", "fc8") if top else ():
        values |= {f"{name}.weight": torch.zeros(2, 3), f"{name}.bias": torch.zeros(2)}
    return values


def torchvision() -> dict[str, torch.Tensor]:
    place = {name: f"features.{index}" for name, index, _, _ in LAYERS}
    place |= {"fc6": "classifier.0", "fc7": "classifier.3", "fc8": "classifier.6"}
    return {f"{place[k.split('.')[0]]}.{k.split('.')[1]}": value for k, value in vggface().items()}


def write_keras(path: Path, values: dict[str, torch.Tensor]) -> Path:
    """Write weights as Keras 2 does: a group a layer, its weights named in attributes; some layers have none."""
    layers = list(dict.fromkeys(name.split(".")[0] for name in values))
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in ("input_1", *layers, "pool5")]
        for name in ("input_1", "pool5"):
            file.create_group(name).attrs["weight_names"] = np.array([], "S1")
        for name in layers:
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}/kernel:0".encode(), f"{name}/bias:0".encode()]
            weight, bias = values[f"{name}.weight"].numpy(), values[f"{name}.bias"].numpy()
            if weight.ndim == 4:
                weight = weight[:, ::-1] if name == "conv1_1" else weight  # the published file takes BGR
                weight = np.moveaxis(weight, (0, 1), (3, 2))
            else:
                weight = weight.T
            group[f"{name}/kernel:0"], group[f"{name}/bias:0"] = weight, bias
    return path


def _saved(path: Path, values: dict[str, torch.Tensor]) -> Path:
    torch.save(values, path)
    return path


FILES: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "Oxford's state dict": ("vggface", lambda folder: _saved(folder / "vgg_face_dag.pth", vggface())),
    "safetensors": (
        "vggface",
        lambda folder: (save_file(vggface(), folder / "v.safetensors"), folder / "v.safetensors")[1],
    ),
    "Keras, top": ("vggface", lambda folder: write_keras(folder / "rcmalli_vggface_tf_vgg16.h5", vggface())),
    "Keras, no top": (
        "vggface",
        lambda folder: write_keras(folder / "rcmalli_vggface_tf_notop_vgg16.h5", vggface(False)),
    ),
    "torchvision's state dict": ("vgg16-imagenet", lambda folder: _saved(folder / "vgg16-397923af.pth", torchvision())),
}


@pytest.mark.parametrize("kind", FILES)
def test_the_convolutions_are_the_files_in_every_format(kind: str, tmp_path: Path) -> None:
    source, write = FILES[kind]
    network = build("jawade-baseline", channels=3, classes=6, view_px=96)
    fill(network, read_pretrained(source, str(write(tmp_path))))  # type: ignore[arg-type]
    convs = [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)]
    expected = vggface()
    for conv, (name, *_) in zip(convs, LAYERS, strict=True):
        torch.testing.assert_close(conv.weight, torch.nn.Parameter(expected[f"{name}.weight"]), rtol=0, atol=0)
        torch.testing.assert_close(conv.bias, torch.nn.Parameter(expected[f"{name}.bias"]), rtol=0, atol=0)


def _changed(**changes: torch.Tensor | None) -> dict[str, torch.Tensor]:
    values = {**vggface(), **{name.replace("__", "."): value for name, value in changes.items()}}
    return {name: value for name, value in values.items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"conv3_2__weight": None, "conv4_1__bias": None}, "has no conv3_2.weight"),
        (
            {"conv1_1__weight": torch.zeros(64, 1, 3, 3)},
            r"conv1_1.weight of \(64, 1, 3, 3\), and VGG16's is \(64, 3, 3, 3\)",
        ),
        ({"conv5_3__bias": torch.zeros(256)}, r"conv5_3.bias of \(256,\)"),
        ({"conv6_1__weight": torch.zeros(2)}, "has conv6_1.weight, which the VGG16 of vggface has not"),
    ],
)
def test_another_networks_file_is_refused_by_its_first_difference(
    changes: dict[str, torch.Tensor | None], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match=sentence):
        read_pretrained("vggface", str(_saved(tmp_path / "v.pth", _changed(**changes))))
    with pytest.raises(WeightsError, match=r"has no conv1_1.weight, which the VGG16 of vggface has"):
        read_pretrained("vggface", str(_saved(tmp_path / "t.pth", torchvision())))


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("this must never run",)


@pytest.mark.parametrize(
    ("name", "write", "sentence"),
    [
        ("code.pth", lambda path: torch.save({"conv1_1.weight": _Evil()}, path), "cannot be|can be read safely"),
        ("text.pth", lambda path: path.write_text("hello"), "not a torch state dict"),
        ("list.pth", lambda path: torch.save([torch.zeros(1)], path), "holds no state dict"),
        ("text.h5", lambda path: path.write_text("hello"), "not a Keras file"),
        ("empty.h5", lambda path: h5py.File(path, "w").close(), "not a Keras file"),
        ("text.safetensors", lambda path: path.write_text("hello, this is no safetensors file"), "not a safetensors"),
        ("none.pth", lambda path: None, "There is no weights file"),
    ],
)
def test_a_file_of_no_known_format_is_one_sentence_and_runs_nothing(
    name: str,
    write: Callable[[Path], object],
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(tmp_path / name)
    with pytest.raises(WeightsError, match=sentence):
        read_pretrained("vggface", str(tmp_path / name))
    assert "never run" not in capsys.readouterr().out


def test_without_a_file_vggface_says_where_to_get_it() -> None:
    with pytest.raises(WeightsError, match="vgg_face_dag.pth.*--set start.file=PATH.*--set start=null"):
        read_pretrained("vggface", None)


def test_vggface_is_found_in_miens_home(own_home: Path) -> None:
    """So that a study can give it to some of its trainings, and ImageNet's weights to the others."""
    own_home.mkdir(exist_ok=True)
    _saved(own_home / "vgg_face_dag.pth", vggface())
    assert read_pretrained("vggface", None).file == "vgg_face_dag.pth"


def test_they_fit_no_other_network() -> None:
    check_takes_vgg16(build("jawade-baseline", channels=3, classes=6, view_px=32), "jawade-baseline")
    with pytest.raises(ModelError, match="thirteen convolutions.*mien-tiny has others"):
        check_takes_vgg16(build("mien-tiny", channels=3, classes=6, view_px=44), "mien-tiny")
    with pytest.raises(ModelError, match="RGB faces"):
        check_takes_vgg16(build("jawade-baseline", channels=1, classes=6, view_px=32), "jawade-baseline")
