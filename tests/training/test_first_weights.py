"""What a training begins with, where it is a model or another run."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from mien.data.faceset import FaceSet, identified
from mien.errors import MienError
from mien.export.onnx import export
from mien.labels import FERPLUS_COLUMNS
from mien.preprocess import InputSpec, network_input
from mien.training.recipe_files import load_recipe
from mien.training.run_folder import RunFolder
from mien.training.train import resume, train
from mien.weights import model_path
from tests.conftest import TINY, drawn_faceset

# Almost no rate, no running mean that lags: after an epoch the weights are those that it began with.
STILL = (*TINY, "name=own", "epochs=1", "ema_decay=0", "optimiser={name: sgd, lr: 1e-12, momentum: 0}")


def test_a_run_goes_on_with_the_weights_of_another(tiny_run: RunFolder, faceset_folder: Path, tmp_path: Path) -> None:
    run = train(load_recipe("mien-s", [*STILL, f"start.run={tiny_run.path}"]), data=faceset_folder, out=tmp_path)
    before, after = tiny_run.weights(), run.weights()
    learnt = {name for name, _ in run.network().named_parameters()}
    assert learnt
    for name in learnt:
        torch.testing.assert_close(after[name], before[name], msg=name)
    start = run.card().provenance.start
    assert start.startswith("tiny, trained on drawn (checkpoint's SHA-256 ")
    again = train(load_recipe("mien-s", [*STILL, f"start.run={run.path}"]), data=faceset_folder, out=tmp_path)
    assert again.card().provenance.start.endswith(f"which started from {start}")


@pytest.mark.parametrize(("mean_image", "shown"), [("false", 0), ("true", 140)])
def test_a_plain_network_is_shown_faces_only_for_their_mean(
    faceset: FaceSet, faceset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mean_image: str, shown: int
) -> None:
    """As floats, all faces of a large set need more memory than there is."""
    sizes: list[int] = []

    def heard(faces_u8: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.float32]:
        sizes.append(len(faces_u8))
        return network_input(faces_u8, spec)

    monkeypatch.setattr("mien.training.first_weights.network_input", heard)
    network = f"network={{mean_image: {mean_image}, convs: [{{out: 4, kernel: 3}}], affines: []}}"
    train(load_recipe("mien-s", [*STILL, network]), data=faceset_folder, out=tmp_path)
    assert len(faceset.split("Training")) == 140
    assert sizes == [shown]


def test_of_other_classes_the_outputs_that_both_have_are_taken_over(tiny_run: RunFolder, tmp_path: Path) -> None:
    """The drawn faces' seven classes in another order, one of them by a new name."""
    old = tuple(tiny_run.card().labels)
    new = ("contempt", *old[:0:-1])
    identified(replace(drawn_faceset(), label_names=new)).save(tmp_path / "own.faceset")
    recipe = load_recipe("mien-s", [*STILL, f"start.run={tiny_run.path}"])
    run = train(recipe, data=tmp_path / "own.faceset", out=tmp_path)
    before, after = tiny_run.weights()["head.weight"], run.weights()["head.weight"]
    for row, name in enumerate(new[1:], start=1):
        torch.testing.assert_close(after[row], before[old.index(name)], msg=name)
    assert not any(torch.allclose(after[0], row) for row in before), "contempt starts anew"


def test_a_colour_model_is_started_from_as_a_grey_one_is(tmp_path: Path) -> None:
    grey = drawn_faceset()
    identified(replace(grey, faces_u8=np.repeat(grey.faces_u8[..., None], 3, -1))).save(tmp_path / "rgb.faceset")
    colour = (*STILL, "input.channels=3", "input.mean=[0.5, 0.5, 0.5]", "input.std=[0.25, 0.25, 0.25]")
    run = train(load_recipe("mien-s", colour), data=tmp_path / "rgb.faceset", out=tmp_path)
    export(run, tmp_path / "rgb.onnx")
    recipe = load_recipe("mien-s", [*colour, f"start.model={tmp_path / 'rgb.onnx'}"])
    again = train(recipe, data=tmp_path / "rgb.faceset", out=tmp_path)
    torch.testing.assert_close(again.weights()["head.weight"], run.weights()["head.weight"])


def _voted(folder: Path) -> Path:
    """Save drawn faces with random votes."""
    faces = drawn_faceset()
    votes = np.random.default_rng(0).integers(1, 9, (len(faces), 10), np.uint8)
    identified(replace(faces, votes=votes, vote_names=FERPLUS_COLUMNS)).save(folder)
    return folder


def test_a_second_head_is_left_behind_where_none_is_wanted(tmp_path: Path) -> None:
    data = _voted(tmp_path / "voted.faceset")
    both = train(load_recipe("mien-s", [*STILL, "targets.vote_head=0.3"]), data=data, out=tmp_path)
    one = train(load_recipe("mien-s", [*STILL, f"start.run={both.path}"]), data=data, out=tmp_path)
    assert both.weights()["head.weight"].shape[0] == 17
    torch.testing.assert_close(one.weights()["head.weight"], both.weights()["head.weight"][:7])


def test_a_run_goes_on_with_a_model_that_ships(faceset_folder: Path, tmp_path: Path) -> None:
    run = train(load_recipe("mien-xs", [*STILL[5:], "start.model=mien-xs"]), data=faceset_folder, out=tmp_path)
    (head,) = (
        onnx.numpy_helper.to_array(tensor)
        for tensor in onnx.load(model_path("mien-xs")).graph.initializer
        if tensor.name == "head.weight"
    )
    torch.testing.assert_close(run.weights()["head.weight"], torch.from_numpy(head.copy()))
    card = run.card(licence="mine")
    assert card.provenance.start.startswith("mien-xs-taught, trained on FER2013 (file's SHA-256 ")
    assert card.licence.startswith("mine; started from mien-xs-taught, whose licence is: ")


def test_a_models_second_head_goes_on_where_one_is_wanted(tmp_path: Path) -> None:
    data = _voted(tmp_path / "voted.faceset")
    first = train(load_recipe("mien-s", [*STILL, "targets.vote_head=0.3"]), data=data, out=tmp_path)
    export(first, tmp_path / "both.onnx")
    head = first.weights()["head.weight"]
    for settings, rows in ((["targets.vote_head=0.3"], 17), ([], 7)):
        recipe = load_recipe("mien-s", [*STILL, f"start.model={tmp_path / 'both.onnx'}", *settings])
        run = train(recipe, data=data, out=tmp_path)
        torch.testing.assert_close(run.weights()["head.weight"], head[:rows])


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["start.model=mien-xs"], "another network .mien-xs. than recipe own .mien-tiny.; take a recipe for"),
        (
            ["start.model=mien-xs-int8", "network=mien-xs"],
            r"Cannot start from .*: it has no stem\.weight .* in 32 bits",
        ),
        (["start.model=mien-sx"], "mien-sx"),
        (["start={model: mien-xs, run: runs/own-001}"], "name `model`, `run` or `weights`"),
    ],
)
def test_a_model_that_does_not_do_is_refused_and_leaves_no_folder(
    faceset_folder: Path, tmp_path: Path, settings: list[str], sentence: str
) -> None:
    with pytest.raises(MienError, match=sentence):
        train(load_recipe("mien-s", [*STILL, *settings]), data=faceset_folder, out=tmp_path)
    assert not [*tmp_path.iterdir()]


def test_a_training_that_was_stopped_needs_the_other_run_no_more(
    tiny_run: RunFolder, faceset_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_run.path, tmp_path / "other")
    run = train(load_recipe("mien-s", [*STILL, f"start.run={tmp_path / 'other'}"]), data=faceset_folder, out=tmp_path)
    shutil.rmtree(tmp_path / "other")
    run.predictions_path.unlink()  # as if it had been stopped before its end
    assert resume(run).finished


@pytest.mark.parametrize(
    ("settings", "lost", "sentence"),
    [
        (["network=mien-xs"], None, "another network .mien-tiny. than recipe own .mien-xs.; name its own recipe: mien"),
        (["input.view_px=40"], None, "another input .*view_px=44.* than recipe own .*view_px=40"),
        ([], "recipe.yaml", "is not a run folder"),
        ([], "predictions.parquet", "has not finished; go on with it first: mien train --resume"),
        ([], "checkpoints/last.ckpt", "last.ckpt is gone"),
    ],
)
def test_a_run_that_does_not_do_is_refused_and_leaves_no_folder(
    tiny_run: RunFolder, faceset_folder: Path, tmp_path: Path, settings: list[str], lost: str | None, sentence: str
) -> None:
    other = shutil.copytree(tiny_run.path, tmp_path / "other")
    if lost is not None:
        (other / lost).unlink()
    with pytest.raises(MienError, match=sentence):
        train(load_recipe("mien-s", [*STILL, f"start.run={other}", *settings]), data=faceset_folder, out=tmp_path)
    assert not [*tmp_path.glob("own-*")]
