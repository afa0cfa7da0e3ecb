"""Models as others might ship them, made here: a mean over the picture, weighed and shifted by class."""

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

from mien.classifier import Classifier
from mien.data.faceset import FaceSet
from mien.errors import ModelError
from mien.evaluation.candidates import open_candidate
from mien.evaluation.evaluate import evaluate
from mien.evaluation.foreign import ForeignModel, count_macs, count_parameters
from mien.labels import EXPRESSIONS
from mien.weights import bundled_models

ANYTHING = {
    "model": "peer.onnx",
    "input": {"size": 24, "colour": "grey", "layout": "nchw"},
    "labels": ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"],
    "outputs": "logits",
}


def _write(folder: Path, *, channels_last: bool, channels: int = 1, batch: str | int = "n", outputs: int = 7) -> None:
    """Write an ONNX model: the mean of the pixels by channel, times a matrix, (N, outputs)."""
    shape = [batch, 24, 24, channels] if channels_last else [batch, channels, 24, 24]
    weights = np.arange(channels * outputs, dtype=np.float32).reshape(channels, outputs) % 5 - 2
    axes = np.array([1, 2] if channels_last else [2, 3])
    nodes = [
        helper.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "peer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, outputs])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(axes, "axes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, folder / "peer.onnx")


def _describe(folder: Path, **changes: object) -> Path:
    path = folder / "peer.yaml"
    path.write_text(yaml.safe_dump(ANYTHING | changes))
    return path


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_grey_faces_are_resized_and_scaled(tmp_path: Path, layout: str) -> None:
    _write(tmp_path, channels_last=layout == "nhwc")
    path = _describe(tmp_path, input={"size": 24, "colour": "grey", "scale": [-1, 1], "layout": layout})
    faces = np.random.default_rng(0).integers(0, 256, (3, 48, 48), np.uint8)
    small = np.stack([cv2.resize(face, (24, 24), interpolation=cv2.INTER_AREA) for face in faces])
    means = (small / 127.5 - 1).mean((1, 2))
    expected = _softmax(means[:, None] * (np.arange(7) % 5 - 2))
    np.testing.assert_allclose(ForeignModel(path).probabilities(faces), expected, atol=1e-5)


@pytest.mark.parametrize(("colour", "order"), [("rgb", (0, 1, 2)), ("bgr", (2, 1, 0))])
def test_colours_come_in_the_order_that_is_asked_for(tmp_path: Path, colour: str, order: tuple[int, ...]) -> None:
    _write(tmp_path, channels_last=True, channels=3)
    mean, std = [0.1, 0.2, 0.3], [0.5, 0.6, 0.7]
    wanted = {"size": 24, "colour": colour, "mean": mean, "std": std, "layout": "nhwc"}
    faces = np.random.default_rng(0).integers(0, 256, (2, 24, 24, 3), np.uint8)
    means = ((faces[..., order] / 255).mean((1, 2)) - mean) / std
    expected = _softmax(means @ (np.arange(21).reshape(3, 7) % 5 - 2))
    found = ForeignModel(_describe(tmp_path, input=wanted)).probabilities(faces)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_grey_faces_become_colour_and_one_at_a_time_is_enough(tmp_path: Path) -> None:
    _write(tmp_path, channels_last=False, channels=3, batch=1)
    path = _describe(tmp_path, input={"size": 24, "colour": "rgb", "layout": "nchw"})
    faces = np.random.default_rng(0).integers(0, 256, (3, 24, 24), np.uint8)
    means = np.repeat((faces / 255).mean((1, 2))[:, None], 3, axis=1)
    expected = _softmax(means @ (np.arange(21).reshape(3, 7) % 5 - 2))
    np.testing.assert_allclose(ForeignModel(path).probabilities(faces), expected, atol=1e-5)


def test_a_model_that_takes_one_face_and_says_any_number_is_asked_about_one_at_a_time(tmp_path: Path) -> None:
    """As exporters leave a reshape of one face within a graph whose input has no number."""
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["row"]),
        helper.make_node("Squeeze", ["row"], ["y"]),
    ]
    weights = np.random.default_rng(0).normal(size=(576, 7)).astype(np.float32)
    graph = helper.make_graph(
        nodes,
        "peer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 24, 24])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.array([1, 576]), "shape")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, tmp_path / "peer.onnx")
    faces = np.random.default_rng(0).integers(0, 256, (3, 24, 24), np.uint8)
    answers = ForeignModel(_describe(tmp_path)).probabilities(faces)
    np.testing.assert_allclose(answers, _softmax(faces.reshape(3, -1) / np.float32(255) @ weights), rtol=1e-4)


def test_a_model_that_gives_one_answer_for_many_faces_is_asked_about_one_at_a_time(tmp_path: Path) -> None:
    """It takes the mean over the batch, too, and leaves the batch's dimension out."""
    nodes = [
        helper.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "peer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 24, 24])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [7])],
        [
            numpy_helper.from_array(np.arange(7, dtype=np.float32)[None], "weights"),
            numpy_helper.from_array(np.array([0, 2, 3]), "axes"),
        ],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), tmp_path / "peer.onnx"
    )
    faces = np.stack([np.full((24, 24), value, np.uint8) for value in (0, 255)])
    answers = ForeignModel(_describe(tmp_path)).probabilities(faces)
    np.testing.assert_allclose(answers, _softmax(np.array([[0.0], [1.0]]) * np.arange(7)), rtol=1e-4)


def test_our_own_model_described_as_somebody_elses_answers_the_same(faceset: FaceSet, tmp_path: Path) -> None:
    """44 px out of the middle is what ours sees, so it is shown those alone."""
    ours = Classifier("mien-s")
    faces = np.asarray(faceset.faces_u8[:8])
    (tmp_path / "peer.onnx").write_bytes(Path(bundled_models()["mien-s"]).read_bytes())
    spec = ours.card.input
    wanted = {"size": 44, "colour": "grey", "mean": list(spec.mean), "std": list(spec.std), "layout": "nchw"}
    model = ForeignModel(_describe(tmp_path, input=wanted))
    assert model.labels == EXPRESSIONS
    found = model.probabilities(faces[:, 2:46, 2:46])
    assert ours.card.calibration is not None
    logits = ours.logits(faces)
    np.testing.assert_allclose(found, _softmax(logits), atol=1e-4)
    assert model.macs == pytest.approx(ours.card.macs, rel=1e-3)
    assert model.parameters == pytest.approx(ours.card.parameters, rel=0.01), "batch norms may be folded away"


def test_layers_are_counted_by_hand() -> None:
    """A 3x3 convolution from 2 to 4 channels on 10x10 without a border, then 256 values onto 5."""
    weight = numpy_helper.from_array(np.zeros((4, 2, 3, 3), np.float32), "w")
    matrix = numpy_helper.from_array(np.zeros((256, 5), np.float32), "m")
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Flatten", ["c"], ["f"]),
        helper.make_node("Gemm", ["f", "m"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2, 10, 10])]
    out = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 5])]
    model = helper.make_model(helper.make_graph(nodes, "g", ends, out, [weight, matrix]))
    assert count_macs(model) == 8 * 8 * 4 * 2 * 9 + 256 * 5
    assert count_parameters(model) == 4 * 2 * 9 + 256 * 5
    model.graph.node.append(helper.make_node("LSTM", ["y", "m", "m"], ["z"]))
    assert count_macs(model) is None, "rather nothing than half"


@pytest.mark.parametrize("kind", ["Gemm", "MatMul"])
@pytest.mark.parametrize("weights", ["as an input too", "reshaped", "by symbols"])
def test_affine_layers_are_counted_however_their_weights_come(kind: str, weights: str) -> None:
    matrix = numpy_helper.from_array(np.zeros((128, 7), np.float32), "m")
    nodes = [helper.make_node(kind, ["x", "w" if weights == "reshaped" else "m"], ["y"])]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 128])]
    values = [matrix]
    if weights == "reshaped":
        nodes.insert(0, helper.make_node("Reshape", ["m", "shape"], ["w"]))
        values.append(numpy_helper.from_array(np.array([128, 7]), "shape"))
    elif weights == "as an input too":
        inputs.append(helper.make_tensor_value_info("m", TensorProto.FLOAT, [128, 7]))
    else:
        values = []
        inputs.append(helper.make_tensor_value_info("m", TensorProto.FLOAT, ["k", 7]))
    out = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 7])]
    model = helper.make_model(helper.make_graph(nodes, "g", inputs, out, values))
    assert count_macs(model) == (None if weights == "by symbols" else 128 * 7)


def test_a_foreign_model_is_judged_beside_ours(faceset_folder: Path, tmp_path: Path) -> None:
    _write(tmp_path, channels_last=True, outputs=8)
    labels = [*ANYTHING["labels"], "Contempt"]
    path = _describe(tmp_path, labels=labels, input={"size": 24, "colour": "grey", "layout": "nhwc"})
    found = evaluate([str(path), "mien-s"], data=faceset_folder, split="PublicTest").results
    assert [one.evaluation.model for one in found.models] == ["peer", "mien-s"]
    assert found.models[0].left_out == ("contempt",)
    assert found.models[0].evaluation.confidence.sure is None
    assert found.costs[0].macs == 8
    candidate = open_candidate(str(path))
    assert candidate.provenance is None


def test_views_that_one_model_lacks_are_told_before_the_others_are_looked_at(
    faceset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that nobody gets to see would stand in the log of looks."""
    monkeypatch.chdir(tmp_path)
    _write(tmp_path, channels_last=True)
    path = _describe(tmp_path, input={"size": 24, "colour": "grey", "layout": "nhwc"})
    with pytest.raises(ModelError, match="Model peer sees the whole face crop, so it has no corners"):
        evaluate(["mien-s", str(path)], data=faceset_folder, split="PrivateTest", choosing=True, view_count=10)
    assert not Path("results").exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model": "none.onnx"}, "names the model none.onnx, and there is no file"),
        ({"model": "peer.yaml"}, "is not an ONNX model that can be opened"),
        ({"labels": [*EXPRESSIONS[:6], "bored"]}, "There is no expression 'bored'; choose one of: angry"),
        ({"labels": [*EXPRESSIONS[:6], "anger"]}, "mean the same expression"),
        ({"labels": EXPRESSIONS[:6]}, "has 6 labels, and peer.onnx gives 7"),
        ({"outputs": "probabilities"}, "gives no probabilities; say `outputs: logits`"),
        ({"outputs": "scores"}, "outputs must be 'logits' or 'probabilities' \\(got 'scores'\\)"),
        ({"input": {"size": 24, "colour": "grey", "layout": "nhwc"}}, "does not take: it wants \\['n', 1, 24, 24\\]"),
        ({"input": {"size": 32, "colour": "grey", "layout": "nchw"}}, "mend size, colour or layout"),
        ({"input": {"size": 24, "colour": "grey", "layout": "nchw", "mean": [1, 2]}}, "one for each channel"),
        ({"inputs": {}}, "no key 'inputs'; did you mean input"),
    ],
)
def test_a_wrong_description_is_one_sentence(tmp_path: Path, changes: dict[str, object], sentence: str) -> None:
    _write(tmp_path, channels_last=False)
    changes = {key: list(value) if isinstance(value, tuple) else value for key, value in changes.items()}
    with pytest.raises(ModelError, match=sentence) as error:
        ForeignModel(_describe(tmp_path, **changes))
    assert "\n" not in str(error.value)


def test_numbers_that_are_none_are_named_where_they_appear(tmp_path: Path) -> None:
    """A model of logarithms: what is black has none, and the grey face that it is tried with has."""
    _write(tmp_path, channels_last=False)
    model = onnx.load(tmp_path / "peer.onnx")
    model.graph.node.insert(0, helper.make_node("Log", ["x"], ["logarithm"]))
    model.graph.node[1].input[0] = "logarithm"
    onnx.save(model, tmp_path / "peer.onnx")
    found = ForeignModel(_describe(tmp_path))
    with pytest.raises(ModelError, match=r"peer\.onnx gives numbers that are none \(NaN or infinite\) for some faces"):
        found.probabilities(np.zeros((1, 24, 24), np.uint8))


def test_a_description_that_is_none(tmp_path: Path) -> None:
    for text, sentence in (("a: [", "is not YAML"), ("just words", "the file must be `key: value` lines")):
        (tmp_path / "peer.yaml").write_text(text)
        with pytest.raises(ModelError, match=sentence):
            ForeignModel(tmp_path / "peer.yaml")
    with pytest.raises(ModelError, match="There is no file"):
        ForeignModel(tmp_path / "none.yaml")


def test_probabilities_are_not_made_softer_still(tmp_path: Path) -> None:
    _write(tmp_path, channels_last=False)
    model = onnx.load(tmp_path / "peer.onnx")
    model.graph.node[1].output[0] = "logits"
    model.graph.node.append(helper.make_node("Softmax", ["logits"], ["y"]))
    onnx.save(model, tmp_path / "peer.onnx")
    faces = np.random.default_rng(0).integers(0, 256, (3, 24, 24), np.uint8)
    found = ForeignModel(_describe(tmp_path, outputs="probabilities")).probabilities(faces)
    np.testing.assert_allclose(found, _softmax((faces / 255).mean((1, 2))[:, None] * (np.arange(7) % 5 - 2)), atol=1e-5)
    with pytest.raises(ModelError, match="gives probabilities; say `outputs: probabilities`"):
        ForeignModel(_describe(tmp_path))
