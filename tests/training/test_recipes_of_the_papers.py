"""Each network trains for an epoch by its recipe; what the papers' recipes ask for happens."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from mien.data.faceset import FaceSet, make_faceset
from mien.errors import MienError, ModelError, RecipeError, WeightsError
from mien.export.onnx import export
from mien.labels import EXPRESSIONS
from mien.models.grammar import AffineBlock, ConvBlock, PlainCNN
from mien.models.registry import networks
from mien.models.summary import layers_of
from mien.training import hog_cache
from mien.training.batches import TrainingBatches
from mien.training.recipe import Recipe
from mien.training.recipe_files import load_recipe, recipe_files
from mien.training.run_folder import RunFolder
from mien.training.train import resume, train
from tests.conftest import ROOT, drawn_faces
from tests.models.test_pretrained import vggface, write_keras

PLAIN = ("epochs=1", "batch_size=7", "ema_decay=0")
SPELLED = """
base: maes-lange/adam-2-2
name: mine
about: A network of one's own.
network:
  convs:
    - {out: 8, kernel: 5, norm: true, pool: 2, dropout: 0.1}
    - {out: 16, pool: 3}
  affines: [{out: 32, norm: true}]
  adaptive_pool: 2
"""


def _faceset(recipe: Recipe, count: int = 21) -> FaceSet:
    """Return drawn faces of the size, channels, splits and classes that a recipe wants."""
    jawade = recipe.name.startswith("jawade")
    names = EXPRESSIONS[:6] if jawade else EXPRESSIONS
    labels = (np.arange(count) % len(names)).astype(np.int8)
    faces = drawn_faces(labels.tolist())
    if recipe.input.face_px == 96:
        faces = faces.repeat(2, 1).repeat(2, 2)
    if recipe.input.channels == 3:
        faces = np.repeat(faces[..., None], 3, axis=3)
    return make_faceset(
        name="drawn",
        faces_u8=faces,
        labels=labels,
        splits=(np.arange(count) >= count * 2 // 3).astype(np.int8),
        votes=None,
        label_names=names,
        split_names=(recipe.data.train, recipe.data.validate_on),
        vote_names=(),
        origin=(),
    )


@pytest.fixture
def trained(tmp_path: Path) -> Iterator[Callable[..., RunFolder]]:
    """Train by a recipe on a FaceSet made for it; what it writes is deleted at once, since some networks are large."""

    def run(recipe: Recipe, count: int = 21) -> RunFolder:
        folder = tmp_path / "drawn.faceset"
        _faceset(recipe, count).save(folder)
        return train(recipe, data=folder, out=tmp_path / "runs")

    yield run
    shutil.rmtree(tmp_path / "runs", ignore_errors=True)


def _recipes_by_network() -> dict[str, str]:
    recipes = {}
    for name in recipe_files():
        recipe = load_recipe(name)
        if recipe.start is None and not recipe.teachers and not recipe.targets.vote_share:  # drawn faces have no votes
            recipes.setdefault(str(recipe.network), name)
    return recipes | {"gudi": "holman/momentum"}  # Adam would keep two more values for each of its 57 M


def test_no_network_is_left_out() -> None:
    """Jawade's start from a file and have tests of their own below; `mien-tiny`, for tests, has no recipe."""
    assert _recipes_by_network().keys() == networks().keys() - {"jawade-main", "jawade-baseline", "mien-tiny"}


@pytest.mark.parametrize("name", _recipes_by_network().values())
def test_every_network_trains_for_an_epoch_by_its_recipe(name: str, trained: Callable[..., RunFolder]) -> None:
    run = trained(load_recipe(name, [*PLAIN, "optimiser.momentum=0"]))  # a state less in the largest checkpoints
    assert [row["epoch"] for row in run.metrics()] == ["1"]
    assert np.isfinite(run.predictions()[0]).all()
    card = run.card()
    assert (card.network, card.provenance.start) == (str(run.recipe.network), "scratch")


def test_jawades_main_model_starts_from_vggface(trained: Callable[..., RunFolder], tmp_path: Path) -> None:
    """Almost no rate: after an epoch the convolutions are still those of the file; card and environment name it."""
    torch.save(vggface(), tmp_path / "vgg_face_dag.pth")
    overrides = [f"start.file={tmp_path / 'vgg_face_dag.pth'}", "optimiser.name=sgd", "optimiser.momentum=0"]
    run = trained(load_recipe("jawade/main", [*PLAIN, "optimiser.lr=1e-12", *overrides]), count=6)
    network = run.network()
    torch.testing.assert_close(network.get_parameter("convs.conv1.weight").data, vggface()["conv1_1.weight"])
    torch.testing.assert_close(network.get_parameter("convs.conv13.weight").data, vggface()["conv5_3.weight"])
    card = run.card()
    assert card.provenance.start.startswith("vggface (vgg_face_dag.pth, SHA-256 ")
    assert card.licence.startswith("not stated; started from the VGGFace weights")
    assert "non-commercial" in run.card(licence="MIT").licence, "whatever is stated, theirs goes with it"
    assert card.parameters == 50_399_046


def test_the_baseline_starts_from_keras_too_and_goes_on_without_the_file(
    trained: Callable[..., RunFolder], tmp_path: Path
) -> None:
    file = write_keras(tmp_path / "notop.h5", vggface(top=False))
    changes = ["start.weights=vggface", f"start.file={file}", "input.face_px=32", "input.view_px=32"]
    recipe = load_recipe("jawade/baseline", [*PLAIN, *changes, "optimiser.name=sgd", "optimiser.momentum=0"])
    data = tmp_path / "small.faceset"
    faces = _faceset(recipe, 12)
    make_faceset(
        name="small",
        faces_u8=np.ascontiguousarray(faces.faces_u8[:, 8:40, 8:40]),
        labels=faces.labels,
        splits=faces.splits,
        votes=None,
        label_names=faces.label_names,
        split_names=faces.split_names,
        vote_names=(),
        origin=(),
    ).save(data)
    run = train(recipe, data=data, out=tmp_path / "runs")
    file.unlink()
    run.predictions_path.unlink()  # as if it had been stopped before its end
    assert resume(run).finished
    shutil.rmtree(tmp_path / "runs")


@pytest.mark.parametrize(
    ("name", "changes", "error", "sentence"),
    [
        ("jawade/main", [], WeightsError, "get vgg_face_dag.pth"),
        ("jawade/main", ["start.file=missing.pth"], WeightsError, "no weights file missing.pth"),
        ("barbagallo/fer-kd", ["start={weights: vggface}"], ModelError, "VGG16 weights fit.*fer-kd has others"),
        (
            "maes-lange/adam-2-2",
            ["network={convs: [{out: 8, pool: 64}]}"],
            ModelError,
            "conv 1: a pool of 64 leaves no",
        ),
    ],
)
def test_what_cannot_be_trained_is_said_before_there_is_a_run_folder(
    name: str,
    changes: list[str],
    error: type[MienError],
    sentence: str,
    trained: Callable[..., RunFolder],
    tmp_path: Path,
) -> None:
    with pytest.raises(error, match=sentence):
        trained(load_recipe(name, [*PLAIN, *changes]))
    assert not (tmp_path / "runs").exists()


def test_a_network_spelled_out_in_a_recipe_is_trained_kept_and_exported(
    trained: Callable[..., RunFolder], tmp_path: Path
) -> None:
    (tmp_path / "mine.yaml").write_text(SPELLED)
    recipe = load_recipe(str(tmp_path / "mine.yaml"), PLAIN)
    assert recipe.network == PlainCNN(
        convs=(ConvBlock(8, kernel=5, norm=True, pool=2, dropout=0.1), ConvBlock(16, pool=3)),
        affines=(AffineBlock(32, norm=True),),
        adaptive_pool=2,
    )
    run = trained(recipe)
    assert RunFolder(run.path).recipe == recipe
    assert run.card().network == (
        "[Conv(8, 5x5)-BN-ReLU-Dropout(0.1)-MaxPool(2)]-[Conv(16, 3x3)-ReLU-MaxPool(3)]-AdaptiveMaxPool(2)"
        "-[Affine(32)-BN-ReLU]-Affine"
    )
    assert export(run, tmp_path / "mine.onnx") < 1e-4


def test_the_network_spelled_out_in_the_documentation_is_one(tmp_path: Path) -> None:
    spelled = (ROOT / "docs" / "networks.md").read_text().split("```yaml\n")[1].split("```")[0]
    (tmp_path / "my-network.yaml").write_text(spelled)
    recipe = load_recipe(str(tmp_path / "my-network.yaml"))
    assert isinstance(recipe.network, PlainCNN)
    layers = layers_of(recipe.network, channels=1, classes=7, view_px=recipe.input.view_px)
    assert [layer.kind for layer in layers].count("Conv2d") == 3


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("network: {convs: [{out: 8, kernal: 3}]}", "no key 'kernal'; did you mean kernel"),
        ("network: {convs: [{out: 8}], affine: [{out: 8}]}", "no key 'affine'; did you mean affines"),
        ("network: {affines: [{out: 8}]}", "network.convs is missing"),
        ("network: {convs: [{out: eight}]}", "network.convs.0.out must be a whole number .*'eight'"),
        ("network: {convs: [{out: 8, dropout: 1.5}]}", "network.convs.0: .*dropout must be a share"),
        ("start: {weights: vgface}", "start.weights must be 'vggface' or 'vgg16-imagenet'"),
        ("start: {weight: vggface}", "no key 'weight'; did you mean weights"),
        ("start: {file: x.pth}", "start: name `model`, `run` or `weights` .*, one of the three"),
        ("start: {weights: vggface, run: runs/mine}", "start: name `model`, `run` or `weights` .*, one of the three"),
        ("start: {weights: vggface, fil: x.pth}", "no key 'fil'; did you mean file"),
        ("augmentation: {flip: sometimes}", "augmentation.flip must be .*'both'"),
        ("base: mien-z", "base: There is no recipe 'mien-z'; did you mean mien-s"),
    ],
)
def test_a_wrong_spelling_is_one_clear_sentence(line: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    content = {"base": "base: mien-s", "name": "name: mine", "about": "about: A test."}
    content[line.partition(":")[0]] = line
    path.write_text("\n".join(content.values()))
    with pytest.raises(RecipeError, match=sentence):
        load_recipe(str(path))


def test_a_change_on_a_base_keeps_everything_else() -> None:
    base, changed = load_recipe("alizadeh/shallow"), load_recipe("alizadeh/deep")
    assert (changed.optimiser.lr, changed.optimiser.weight_decay) == (0.01, 1e-7)
    same = {"name": base.name, "about": base.about, "network": base.network, "optimiser": base.optimiser}
    assert changed.model_copy(update=same) == base
    assert changed.optimiser.model_copy(update={"lr": 0.001, "weight_decay": 1e-6}) == base.optimiser


def _batches(flip: str, count: int = 40) -> TrainingBatches:
    faces = np.arange(count, dtype=np.uint8)[:, None, None].repeat(16, 1).repeat(16, 2)
    features = torch.stack([torch.arange(count)[:, None], 100 + torch.arange(count)[:, None]])
    targets = np.eye(7, dtype=np.float32)[np.arange(count) % 7]
    return TrainingBatches(faces, targets, batch_size=10, seed=0, flip=flip, features=features)  # type: ignore[arg-type]


def test_both_shows_each_face_and_its_mirror_in_every_epoch() -> None:
    batches = _batches("both")
    looks = [
        (int(face[0, 0]), bool(turned)) for b in batches for face, turned in zip(b.faces_u8, b.mirrored, strict=True)
    ]
    assert len(batches) == 8
    assert sorted(looks) == sorted((face, turned) for face in range(40) for turned in (False, True))


def test_random_mirrors_another_half_in_each_epoch_the_same_one_again_after_a_resume() -> None:
    def mirrored(epoch: int) -> dict[int, bool]:
        batches = _batches("random")
        batches.epoch = epoch
        return {int(f[0, 0]): bool(m) for b in batches for f, m in zip(b.faces_u8, b.mirrored, strict=True)}

    first, second = mirrored(0), mirrored(1)
    assert 8 <= sum(first.values()) <= 32
    agreeing = sum(first[face] == second[face] for face in range(40))
    assert 8 <= agreeing <= 32, "neither the same half nor the other one"
    assert mirrored(1) == second


def test_features_go_with_the_face_and_its_side() -> None:
    for batch in _batches("both"):
        (features,) = batch.features
        assert torch.equal(features[:, 0], batch.faces_u8[:, 0, 0] + 100 * batch.mirrored)


def test_hog_is_computed_once_for_all_epochs_and_runs_and_kept_with_the_faceset(
    trained: Callable[..., RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[int] = []
    honest = hog_cache._computed
    monkeypatch.setattr(hog_cache, "_computed", lambda view: computed.append(len(view)) or honest(view))
    hybrid = [
        "network={convs: [{out: 4, pool: 8}], mean_image: true, hog: true}",
        "epochs=3",
        "batch_size=7",
        "precision=fp32",
    ]
    run = trained(load_recipe("alizadeh/shallow-hog", hybrid))
    assert computed == [14, 14, 7], "the training faces, their mirrors and the validation faces"
    assert len(list((tmp_path / "drawn.faceset").glob("hog-*.npy"))) == 3
    again = train(run.recipe, data=tmp_path / "drawn.faceset", out=tmp_path / "runs")
    assert len(computed) == 3
    np.testing.assert_array_equal(again.predictions()[0], run.predictions()[0])
    # What is computed inside the network, face by face, gives the same training up to rounding.
    monkeypatch.setattr("mien.training.fit._wants_hog", lambda network, recipe: False)
    inside = train(run.recipe, data=tmp_path / "drawn.faceset", out=tmp_path / "runs")
    np.testing.assert_allclose(inside.predictions()[0], run.predictions()[0], atol=1e-3)
    assert len(computed) == 3


def test_a_hybrid_under_augmentation_computes_its_hog_inside() -> None:
    assert load_recipe("alizadeh/shallow-hog").augmentation.only_mirrors
    for change in ("shift_px=1", "rotation_deg=5", "zoom=0.1", "contrast=0.1", "cutout_px=4", "mixup_alpha=0.2"):
        assert not load_recipe("alizadeh/shallow-hog", [f"augmentation.{change}"]).augmentation.only_mirrors


def test_the_mean_image_is_that_of_all_training_faces(trained: Callable[..., RunFolder], tmp_path: Path) -> None:
    run = trained(load_recipe("alizadeh/shallow", [*PLAIN, "network={convs: [{out: 4, pool: 8}], mean_image: true}"]))
    faces = _faceset(run.recipe).split("Training").faces_u8 / 255
    mean = (faces.mean(0) + faces[:, :, ::-1].mean(0)) / 2
    np.testing.assert_allclose(run.network().state_dict()["mean_image.mean"][0], mean, atol=1e-6)


@pytest.mark.parametrize("name", ["gudi", "alizadeh-deep-hog", "mini-xception"])
def test_the_exported_file_answers_as_the_network_does(
    name: str, trained: Callable[..., RunFolder], tmp_path: Path
) -> None:
    """At the smallest view: the file takes a face and nothing else, HOG and local contrast are inside it."""
    recipe = load_recipe({"gudi": "holman/adam", "alizadeh-deep-hog": "alizadeh/deep-hog"}.get(name, name), PLAIN)
    small = recipe.model_copy(
        update={"input": recipe.input.model_copy(update={"view_px": 16 if name != "mini-xception" else 24})}
    )
    assert export(trained(small), tmp_path / "out.onnx") < 1e-4
