"""What the settings of `mien export --int8` were chosen by: accuracy with 8 bits for each of several, on PublicTest.

    python benchmarks/quantisation.py FACESET [MODEL]

MODEL is an exported file of 32 bits or a bundled model's name; mien-s by default. One setting is changed at a time;
each is tried on three draws of calibration faces. No timing: `latency.py` does that.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from rich.console import Console
from rich.progress import track
from rich.table import Table

from mien.classifier import Classifier, open_session
from mien.data.faceset import FaceSet, open_faceset
from mien.export import int8
from mien.preprocess import network_input

SEEDS = (0, 1, 2)
SETTINGS = (
    ("as it is", {}),
    ("128 calibration faces", {"CALIBRATION_FACES": 128}),
    ("512 calibration faces", {"CALIBRATION_FACES": 512}),
    ("whole range", {"PERCENTILE": 100.0}),
    ("range without 1 of 100,000", {"PERCENTILE": 99.999}),
    ("range without 1 of 1,000", {"PERCENTILE": 99.9}),
    ("last convolution in 32 bits too", {"QUANTISED": ("Conv",)}),
)


def main() -> None:
    everything = open_faceset(Path(sys.argv[1]))
    model = Classifier(sys.argv[2] if len(sys.argv) > 2 else "mien-s")
    faces = everything.split("PublicTest")
    plain = {name: getattr(int8, name) for _, changes in SETTINGS for name in changes}
    table = Table("setting", *(f"draw {seed}" for seed in SEEDS), "mean", title=f"{model.path.stem}, % right")
    table.add_row("32 bits", *[""] * len(SEEDS), f"{100 * accuracy(model.path, model, faces):.2f}")
    for what, changes in track(SETTINGS, "Quantising", console=Console(stderr=True), transient=True):
        for name, value in {**plain, **changes}.items():
            setattr(int8, name, value)
        found = [100 * quantised_accuracy(model, everything, faces, seed) for seed in SEEDS]
        table.add_row(what, *(f"{value:.2f}" for value in found), f"{np.mean(found):.2f}")
    Console().print(table)
    print(f"n = {len(faces):,} faces of PublicTest; one standard error of an accuracy of 69 % is 0.8 points")


def quantised_accuracy(model: Classifier, everything: FaceSet, faces: FaceSet, seed: int) -> float:
    int8.SEED = seed
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "int8.onnx"
        inputs = network_input(int8.calibration_faces(everything), model.card.input)
        int8.quantise(onnx.load(model.path), file, inputs)
        return accuracy(file, model, faces)


def accuracy(file: Path, model: Classifier, faces: FaceSet) -> float:
    session = open_session(file, threads=1)
    name = session.get_inputs()[0].name
    inputs = network_input(np.asarray(faces.faces_u8), model.card.input)
    called = np.concatenate([session.run(None, {name: inputs[i : i + 64]})[0] for i in range(0, len(inputs), 64)])
    return float((called.argmax(1) == faces.labels).mean())


if __name__ == "__main__":
    main()
