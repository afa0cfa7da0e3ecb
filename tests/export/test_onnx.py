import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from mien.card import METADATA_KEY
from mien.classifier import Classifier
from mien.data.faceset import FaceSet, open_faceset
from mien.data.ferplus import by_majority
from mien.data.split import DIVIDED
from mien.errors import DataError, ExportError, OutputError, TrainingError
from mien.export import int8
from mien.export import onnx as onnx_export
from mien.export.int8 import export_int8
from mien.export.onnx import export
from mien.labels import EIGHT_EXPRESSIONS, FERPLUS_COLUMNS, expression_named
from mien.training.recipe_files import load_recipe
from mien.training.run_folder import RunFolder
from mien.training.torch_classifier import TorchClassifier
from mien.training.train import train
from tests.conftest import TINY, drawn_faceset


def test_the_file_answers_as_the_run_does_and_carries_its_card(
    tiny_run: RunFolder, faceset: FaceSet, tmp_path: Path
) -> None:
    difference = export(tiny_run, tmp_path / "tiny.onnx")
    assert difference < 1e-4
    exported = Classifier(tmp_path / "tiny.onnx")
    assert exported.card == tiny_run.card()
    faces = np.asarray(faceset.faces_u8[:9])
    np.testing.assert_allclose(exported.probabilities(faces), TorchClassifier(tiny_run).probabilities(faces), atol=1e-5)


def test_no_path_of_this_machine_is_in_the_file(tiny_run: RunFolder, tmp_path: Path) -> None:
    export(tiny_run, tmp_path / "tiny.onnx")
    assert str(Path(onnx_export.__file__).parents[2]).encode() not in (tmp_path / "tiny.onnx").read_bytes()


def test_a_users_model_has_no_licence_but_the_one_that_is_stated(tiny_run: RunFolder, tmp_path: Path) -> None:
    out = tmp_path / "tiny.onnx"
    export(tiny_run, out)
    assert Classifier(out).card.licence == "not stated"
    export(tiny_run, out, licence="CC-BY-4.0")
    assert Classifier(out).card.licence == "CC-BY-4.0"
    with pytest.raises(ExportError, match="keeps the licence on its card; leave out --licence"):
        export_int8(str(out), tmp_path / "int8.onnx", licence="MIT")


def test_a_file_that_answers_otherwise_is_not_written(
    tiny_run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = onnx_export.to_onnx

    def wrong(network: torch.nn.Module, card: object) -> object:
        with torch.no_grad():
            network.head.weight[0, 0] += 0.01  # type: ignore[union-attr, operator, index]
        model = honest(network, card)  # type: ignore[arg-type]
        with torch.no_grad():
            network.head.weight[0, 0] -= 0.01  # type: ignore[union-attr, operator, index]
        return model

    monkeypatch.setattr(onnx_export, "to_onnx", wrong)
    with pytest.raises(ExportError, match="nothing was written"):
        export(tiny_run, tmp_path / "tiny.onnx")
    assert [path.name for path in tmp_path.iterdir()] == []


def test_the_second_head_is_a_model_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The voters call every drawn face contemptuous that is labelled angry; otherwise they agree with the labels."""
    faces = drawn_faceset()
    column_of = {expression_named(name): column for column, name in enumerate(FERPLUS_COLUMNS)}
    votes = np.zeros((len(faces), len(FERPLUS_COLUMNS)), np.uint8)
    for face, label in enumerate(faces.labels):
        seen = faces.label_names[label]
        votes[face, column_of["contempt" if seen == "angry" else seen]] = 10
    replace(faces, votes=votes, vote_names=FERPLUS_COLUMNS).save(tmp_path / "voted.faceset")
    recipe = load_recipe("mien-s", [*TINY, "targets.vote_head=2"])
    run = train(recipe, data=tmp_path / "voted.faceset", out=tmp_path)
    export(run, tmp_path / "votes.onnx", by_votes=True)
    exported = Classifier(tmp_path / "votes.onnx")
    assert (exported.card.name, exported.card.labels) == ("tiny-votes", EIGHT_EXPRESSIONS)
    watched = faces.split("PublicTest")
    called = [EIGHT_EXPRESSIONS[k] for k in exported.probabilities(np.asarray(watched.faces_u8)).argmax(1)]
    seen = [watched.label_names[label].replace("angry", "contempt") for label in watched.labels]
    right = np.array([a == b for a, b in zip(called, seen, strict=True)])
    assert right[np.array(seen) == "contempt"].mean() > 0.5
    assert exported.card.score.accuracy == pytest.approx(right.mean())
    assert exported.card.score.recall[EIGHT_EXPRESSIONS.index("angry")] is None, "no face has a majority for it"
    assert (exported.card.score.n, exported.card.score.split) == (35, "PublicTest by majority of FER+'s voters")
    by_majority(open_faceset(tmp_path / "voted.faceset"))[0].save(tmp_path / "ferplus.faceset")
    monkeypatch.setattr(int8, "MOST_LOST", 0.2)  # one face more or less is 2.9 points of 35
    found = export_int8(str(tmp_path / "votes.onnx"), tmp_path / "votes-int8.onnx", data=tmp_path / "ferplus.faceset")
    assert (found.n, found.fp32) == (35, pytest.approx(right.mean()))
    assert Classifier(tmp_path / "votes-int8.onnx").card.score.split == exported.card.score.split
    graph, made = onnx.load(tmp_path / "votes.onnx"), exported.card.provenance
    of_divided = replace(exported.card, provenance=replace(made, data=f"{made.data} (all of it{DIVIDED}"))
    onnx.helper.set_model_props(graph, {METADATA_KEY: of_divided.to_json()})
    onnx.save(graph, tmp_path / "divided.onnx")
    with pytest.raises(DataError, match=r"scored on FER\+ \(all of it divided anew\)"):
        export_int8(str(tmp_path / "divided.onnx"), tmp_path / "x.onnx", data=tmp_path / "ferplus.faceset")


def test_a_run_without_a_second_head(tiny_run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no second head on votes; train one with targets.vote_head"):
        export(tiny_run, tmp_path / "votes.onnx", by_votes=True)


def test_a_place_that_cannot_be_written_is_said_before_the_work(tiny_run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist"):
        export(tiny_run, tmp_path / "no" / "tiny.onnx")


def test_faces_for_the_check_that_do_not_fit(tiny_run: RunFolder, faceset: FaceSet, tmp_path: Path) -> None:
    """Of larger ones a corner would be taken for the face."""
    larger: FaceSet = replace(faceset, faces_u8=np.zeros((len(faceset), 96, 96), np.uint8))
    larger.save(tmp_path / "larger.faceset")
    with pytest.raises(DataError, match=r"Run .* takes faces of \(48, 48\), and .* has \(96, 96\)"):
        export(tiny_run, tmp_path / "x.onnx", data=tmp_path / "larger.faceset")
    assert not (tmp_path / "x.onnx").exists()


def test_faces_for_the_check_that_are_gone(tiny_run: RunFolder, faceset_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a FaceSet"):
        export(tiny_run, tmp_path / "tiny.onnx", data=tmp_path)
    run = RunFolder(shutil.copytree(tiny_run.path, tmp_path / "run"))
    run.environment_path.write_text(json.dumps(run.environment() | {"data_folder": str(tmp_path / "gone")}))
    for write in (export, lambda run, out: export_int8(str(run.path), out)):
        with pytest.raises(DataError, match=r"gone, on which .*run was trained, is gone; say where .* with --data"):
            write(run, tmp_path / "tiny.onnx")
    assert export(run, tmp_path / "tiny.onnx", data=faceset_folder) < 1e-4
