"""A run or an exported file -> an ONNX file of 8 bits: a quarter of the bytes, and less time where it counts.

The ranges of the maps are measured beforehand, on Training faces alone, by onnxruntime's own quantisation. The file is
written only if it answers about as well as the one of 32 bits; its card has a calibration and a score of its own.
"""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from numpy.typing import NDArray

from mien.card import METADATA_KEY, NOT_STATED, ModelCard, Score
from mien.classifier import Classifier, open_session
from mien.data.faceset import FaceSet, open_faceset
from mien.data.split import undivided
from mien.errors import DataError, ExportError, OutputError
from mien.evaluation.candidates import open_candidate
from mien.evaluation.leaks import same_splits
from mien.evaluation.subsets import TRAINING
from mien.export.onnx import BY_MAJORITY, check_out, export
from mien.files import written_beside
from mien.preprocess import InputSpec, network_input
from mien.training.calibration import calibrate
from mien.training.run_folder import RunFolder
from mien.weights import bundled_models
from mien.words import counted

MOST_LOST = 0.003  # of accuracy
SEED = 0
# benchmarks/quantisation.py tries other values of these two; see docs/decisions/0010-eight-bits.md.
CALIBRATION_FACES = 256
PERCENTILE = 99.99  # a map's range leaves out one value of ten thousand
QUANTISED = ("Conv", "Gemm", "MatMul")
BATCH = 64


@dataclass(frozen=True, slots=True)
class Quantised:
    """What 8 bits cost: accuracy with 32 and with 8 bits, 0-1, on the same n faces of a split."""

    split: str
    n: int
    fp32: float
    int8: float


def export_int8(source: str, out: Path, *, data: Path | None = None, licence: str | None = None) -> Quantised:
    """Write a model as an ONNX file of 8 bits.

    Args:
        source: A finished run's folder, an exported file, or a bundled model's name.
        out: The file to write.
        data: FaceSet with Training faces, to measure ranges on, and the split that the model was chosen by, to compare
            on and to calibrate by; for a run, by default the one it was trained on.
        licence: Of a run's weights, for the card; a file's card keeps its own.

    Raises:
        ExportError: It would lose more than 0.3 points of accuracy, and nothing is written; it has 8 bits already; or
            no FaceSet is given for a file.
        DataError: The FaceSet is not the one that the model was scored on, or has no Training faces.
        ModelError: No such model.
        OutputError: The file cannot be written, or is the source.
        TrainingError: The run has not finished.
    """
    check_out(out)
    if out.resolve() == Path(source).resolve():
        raise OutputError(f"Cannot write {out}: it is the model of 32 bits itself; give another name.")
    if source not in bundled_models() and Path(source).is_dir():
        run = RunFolder(Path(source))
        with TemporaryDirectory() as folder:
            fp32 = Path(folder) / "fp32.onnx"
            export(run, fp32, data=data, licence=licence or NOT_STATED)
            return _export_int8(str(fp32), out, run.data_folder(data))
    if licence is not None:
        raise ExportError(f"{source} is a file, and keeps the licence on its card; leave out --licence.")
    if data is None:
        raise ExportError("A model file does not say where its faces are; name their FaceSet with --data.")
    return _export_int8(source, out, data)


def _export_int8(source: str, out: Path, data: Path) -> Quantised:
    model = Classifier(source)
    graph, card, spec = onnx.load(model.path), model.card, model.card.input
    if any(node.op_type == "QuantizeLinear" for node in graph.graph.node):
        raise ExportError(f"{model.path} has 8 bits already; give the file or the run that it was made from.")
    everything = open_faceset(data)
    open_candidate(source).check_fits(everything)
    _check_data(card, everything)
    before = card.calibration
    split = before.split if before else card.score.split  # the score of a head on votes is by their majority
    faces = everything.split(split)
    labels = np.array([card.labels.index(name) for name in everything.label_names])[faces.labels]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "int8.onnx"
        quantise(graph, file, network_input(calibration_faces(everything), spec))
        logits = _logits(file, faces, spec)
        found = Quantised(
            split=split,
            n=len(faces),
            fp32=float((_logits(model.path, faces, spec).argmax(1) == labels).mean()),
            int8=float((logits.argmax(1) == labels).mean()),
        )
        if found.fp32 - found.int8 > MOST_LOST:
            raise ExportError(
                f"With 8 bits {card.name} is right on {100 * found.int8:.2f} % of the {counted(found.n, 'face')} of "
                f"{found.split}, with 32 bits on {100 * found.fp32:.2f} %, and it may lose {100 * MOST_LOST:.1f} "
                "points at most; nothing was written, so stay with 32 bits."
            )
        quantised = onnx.load(file)
    own = replace(
        card,
        name=f"{card.name}-int8",
        calibration=calibrate(logits, labels, split=found.split, coverage=before.coverage) if before else None,
        score=Score.measured(logits, labels, split=card.score.split),
    )
    onnx.helper.set_model_props(quantised, {METADATA_KEY: own.to_json()})
    quantised.producer_name, quantised.doc_string = "mien", own.limits
    with written_beside(out) as beside:
        onnx.save(quantised, beside)
    return found


def _check_data(card: ModelCard, faces: FaceSet) -> None:
    """Raise DataError unless a FaceSet has what the new card is to say: scores on the splits that the old one names."""
    made = card.provenance
    if card.score.split.endswith(BY_MAJORITY):
        divided_anew = made.data.removeprefix(undivided(made.data))
        made = replace(made, data=f"FER+{divided_anew}")
    named_alike = made.data == faces.name or made.data_sha256 == faces.sha256
    if not (named_alike and same_splits(made.data, made.data_sha256, faces) and {*faces.label_names} == {*card.labels}):
        raise DataError(
            f"{card.name} was calibrated and scored on {made.data} ({', '.join(card.labels)}), and {faces.name} has "
            f"other faces, splits or classes ({', '.join(faces.label_names)}); give that FaceSet with --data."
        )


def calibration_faces(faceset: FaceSet) -> NDArray[np.uint8]:
    """Return the Training faces that the ranges are measured on, (256 or fewer, S, S[, 3]).

    Raises:
        DataError: The FaceSet has no Training faces.
    """
    training = next((name for name in TRAINING if name in faceset.split_names), None)
    if training is None:
        raise DataError(
            f"{faceset.name} has no split {' or '.join(TRAINING)} to measure ranges on; it has "
            f"{', '.join(faceset.split_names)}, and `mien data split` makes others."
        )
    faces_u8 = faceset.split(training).faces_u8
    rows = np.random.default_rng(SEED).permutation(len(faces_u8))[:CALIBRATION_FACES]
    return np.asarray(faces_u8[np.sort(rows)])


def quantise(model: onnx.ModelProto, out: Path, inputs: NDArray[np.float32]) -> None:
    """Write a model with convolutions and affine layers of 8 bits, but for the last, which decides and costs little.

    Args:
        model: With float weights.
        out: The file to write.
        inputs: (N, C, H, W) as the network takes them, whose ranges are measured.
    """
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """The inputs one by one, since onnxruntime wants batches of one size."""

        def __init__(self) -> None:
            self._faces = iter(inputs[:, None])

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            """Return the next input as a batch, or None after the last."""
            face = next(self._faces, None)
            return None if face is None else {model.graph.input[0].name: face}

    layers = [node.name for node in model.graph.node if node.op_type in QUANTISED]
    with _silent():
        quantize_static(
            model,
            out,
            Reader(),
            nodes_to_quantize=layers[:-1],
            per_channel=True,
            calibrate_method=CalibrationMethod.Percentile,
            activation_type=QuantType.QUInt8,  # and not signed ones, which onnxruntime multiplies slowly on x86
            weight_type=QuantType.QInt8,
            reduce_range=True,  # weights of 7 bits: processors without VNNI add two products in 16 bits, and would clip
            extra_options={"CalibPercentile": PERCENTILE},
        )


@contextmanager
def _silent() -> Iterator[None]:
    """Keep the steps that onnxruntime prints and logs off the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def _logits(file: Path, faces: FaceSet, spec: InputSpec) -> NDArray[np.float32]:
    """Return what a file gives for faces, (N, K)."""
    session = open_session(file, threads=1)
    name = session.get_inputs()[0].name
    batches = (np.asarray(faces.faces_u8[start : start + BATCH]) for start in range(0, len(faces), BATCH))
    return np.concatenate([session.run(None, {name: network_input(batch, spec)})[0] for batch in batches])
