"""What a face costs, model beside model in onnxruntime: cut out of a picture and asked about, and the network alone.

    python benchmarks/latency.py MODEL... [--rounds 25] [--json]

MODEL is a bundled model's name, an .onnx file with a card, or the .yaml file of somebody else's (docs/evaluation.md).
In each round each model has its turn, so that a machine that slows down slows all alike. Times are medians over the
rounds of a round's median; ratios are medians over the rounds of a round's ratio to the first model. Run it on a quiet
machine: the longer a call, the likelier it is interrupted, so that other work bends the ratios too.
"""

import argparse
import importlib.util
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from mien.classifier import Classifier, open_session
from mien.errors import MienError
from mien.evaluation.foreign import ForeignModel
from mien.photos import read_photo
from mien.preprocess import Box, InputSpec, crop_face, network_input

BOX: Box = (177.0, 66.0, 97.0, 97.0)  # the face in scikit-image's astronaut
BATCH = 64
WIDTH = 120  # of what is printed, also into a file
CALLS = {1: 20, BATCH: 3}  # in a turn, after one that does not count
Call = Callable[[], object]


@dataclass(frozen=True)
class Contender:
    """A model: its name, the crop it wants, its file, how to open it for so many threads, and its network's input."""

    name: str
    crop: InputSpec
    weights: Path
    opened: Callable[[int], Callable[[NDArray[np.uint8]], NDArray[np.float32]]]
    network_input: Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True)
class Latency:
    """What one model took; a ratio is to the first model's time."""

    model: str
    file_bytes: int
    face_ms: float
    face_ratio: float
    network_ms: float
    network_ratio: float
    faces_per_s: float
    faces_per_s_2_threads: float


def contender(model: str) -> Contender:
    if Path(model).suffix in (".yaml", ".yml"):
        foreign = ForeignModel(Path(model))
        return Contender(
            Path(model).stem,
            foreign.crop,
            foreign.weights,
            lambda threads: ForeignModel(Path(model), threads=threads).probabilities,
            foreign.network_input,
        )
    ours = Classifier(model)
    spec = ours.card.input
    return Contender(
        ours.path.stem,
        spec,
        ours.path,
        lambda threads: Classifier(model, threads=threads).probabilities,
        lambda faces_u8: network_input(faces_u8, spec),
    )


def from_picture(model: Contender, image_bgr: NDArray[np.uint8]) -> Call:
    """Return one face's whole way: cut, scaled, normalised, asked about, made probabilities."""
    ask = model.opened(1)
    return lambda: ask(crop_face(image_bgr, BOX, model.crop)[None])


def network_alone(model: Contender, image_bgr: NDArray[np.uint8]) -> Call:
    """Return onnxruntime's part of it."""
    session = open_session(model.weights, threads=1)
    inputs = {session.get_inputs()[0].name: model.network_input(crop_face(image_bgr, BOX, model.crop)[None])}
    return lambda: session.run(None, inputs)


def batch(model: Contender, image_bgr: NDArray[np.uint8], threads: int) -> Call:
    """Return 64 faces, cut beforehand, asked about at once."""
    ask = model.opened(threads)
    moved = [(BOX[0] + step % 8, BOX[1] + step // 8, *BOX[2:]) for step in range(BATCH)]
    faces_u8 = np.stack([crop_face(image_bgr, box, model.crop) for box in moved])
    return lambda: ask(faces_u8)


def by_turns(calls: Sequence[Call], rounds: int, calls_a_turn: int) -> NDArray[np.float64]:
    """Return each round's median seconds of each call, (rounds, calls)."""
    medians = np.empty((rounds, len(calls)))
    for turn in range(rounds):
        for which, call in enumerate(calls):
            call()  # threads of the one before may still be spinning
            taken = []
            for _ in range(calls_a_turn):
                started = time.perf_counter()
                call()
                taken.append(time.perf_counter() - started)
            medians[turn, which] = np.median(taken)
    return medians


def measure(models: Sequence[Contender], image_bgr: NDArray[np.uint8], rounds: int) -> list[Latency]:
    ways: list[tuple[Sequence[Call], int]] = [
        ([from_picture(model, image_bgr) for model in models], CALLS[1]),
        ([network_alone(model, image_bgr) for model in models], CALLS[1]),
        ([batch(model, image_bgr, 1) for model in models], CALLS[BATCH]),
        ([batch(model, image_bgr, 2) for model in models], CALLS[BATCH]),
    ]
    medians, ratios = [], []
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        for calls, calls_a_turn in bar.track(ways, description="Timing"):
            found = by_turns(calls, rounds, calls_a_turn)
            medians.append(np.median(found, axis=0))
            ratios.append(np.median(found / found[:, :1], axis=0))
    return [
        Latency(
            model=model.name,
            file_bytes=model.weights.stat().st_size,
            face_ms=1000 * float(medians[0][k]),
            face_ratio=float(ratios[0][k]),
            network_ms=1000 * float(medians[1][k]),
            network_ratio=float(ratios[1][k]),
            faces_per_s=BATCH / float(medians[2][k]),
            faces_per_s_2_threads=BATCH / float(medians[3][k]),
        )
        for k, model in enumerate(models)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = importlib.util.find_spec("skimage")
    assert found is not None
    assert found.submodule_search_locations is not None
    image_bgr = read_photo(Path(found.submodule_search_locations[0]) / "data" / "astronaut.png")
    try:
        models = [contender(model) for model in arguments.models]
    except MienError as error:
        print(f"latency: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    rows = measure(models, image_bgr, arguments.rounds)
    if arguments.json:
        print(json.dumps({"rounds": arguments.rounds, "models": [asdict(row) for row in rows]}, indent=1))
        return
    first = rows[0].model
    columns = ("model", "file", "a face, ms", f"× {first}", "network alone, ms", f"× {first}")
    table = Table(
        *columns,
        "faces/s, 1 thread",
        "faces/s, 2 threads",
        title=f"{platform.machine()}, {os.cpu_count()} cores, {arguments.rounds} rounds by turns",
        caption=f"a face: one, cut out of a picture, one thread; faces/s: {BATCH} crops at once",
    )
    for row in rows:
        table.add_row(
            row.model,
            f"{row.file_bytes / 1e6:.1f} MB",
            f"{row.face_ms:.3f}",
            f"{row.face_ratio:.2f}",
            f"{row.network_ms:.3f}",
            f"{row.network_ratio:.2f}",
            f"{row.faces_per_s:,.0f}",
            f"{row.faces_per_s_2_threads:,.0f}",
        )
    Console(width=WIDTH).print(table)


if __name__ == "__main__":
    main()
