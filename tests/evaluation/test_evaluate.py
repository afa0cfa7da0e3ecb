import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from mien.card import Provenance
from mien.data.faceset import GROUP, FaceSet, identified
from mien.data.split import divide
from mien.errors import DataError, ModelError
from mien.evaluation import cost
from mien.evaluation.candidates import Candidate, ensemble, open_candidate
from mien.evaluation.evaluate import evaluate, predict
from mien.evaluation.leaks import may_have_learnt, same_splits
from mien.evaluation.private_log import LOG
from mien.evaluation.report.write import write_report
from mien.evaluation.results import Results, read_results
from mien.evaluation.stress import CONDITIONS
from mien.export.onnx import export
from mien.labels import EIGHT_EXPRESSIONS, EXPRESSIONS, FERPLUS_COLUMNS
from mien.training.recipe_files import load_recipe
from mien.training.run_folder import RunFolder
from mien.training.train import train
from tests.conftest import TINY


@pytest.fixture(scope="module")
def tiny_file(tiny_run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny run, exported."""
    path = tmp_path_factory.mktemp("exported") / "tiny.onnx"
    export(tiny_run, path)
    return path


def _evaluated(*models: object, data: Path, split: str = "PublicTest") -> Results:
    return evaluate([str(model) for model in models], data=data, split=split).results


def test_a_run_and_its_exported_file_score_alike(tiny_run: RunFolder, tiny_file: Path, faceset_folder: Path) -> None:
    of_run, of_file = _evaluated(tiny_run.path, tiny_file, data=faceset_folder).models
    assert (of_run.evaluation.model, of_file.evaluation.model) == ("tiny-001", "tiny")
    assert of_run.evaluation.confusion == of_file.evaluation.confusion
    assert of_run.evaluation.accuracy == pytest.approx(tiny_run.card().score.accuracy)
    assert of_run.evaluation.n == 35
    assert of_run.evaluation.confidence.sure is not None
    assert of_run.fitted_here
    assert not _evaluated(tiny_run.path, data=faceset_folder, split="Training").models[0].fitted_here
    assert of_run.learning_curve is not None
    assert of_run.learning_curve.validation_accuracy[-1] == pytest.approx(of_run.evaluation.accuracy, abs=1e-4)
    assert of_file.learning_curve is None


def test_the_same_model_twice_differs_by_chance_alone(
    tiny_run: RunFolder, tiny_file: Path, faceset_folder: Path
) -> None:
    (pair,) = _evaluated(tiny_run.path, tiny_file, data=faceset_folder).comparisons
    assert (pair.first, pair.second, pair.only_first, pair.only_second) == ("tiny-001", "tiny", 0, 0)
    assert (pair.p_value, pair.accuracy_gain.value) == (1, 0)


def test_an_ensemble_answers_with_the_mean(faceset_folder: Path) -> None:
    models = ["mien-s", "mien-xs"]
    judged = evaluate(models, data=faceset_folder, split="PublicTest", view_count=2, together=True)
    alone, together = judged.probabilities["mien-s"], judged.probabilities["ensemble of 2"]
    np.testing.assert_allclose(together, (alone + judged.probabilities["mien-xs"]) / 2, atol=1e-6)
    assert not np.allclose(together, alone, atol=0.01)
    assert [cost.model for cost in judged.results.costs] == [*models, "ensemble of 2"]
    *members, both = judged.results.costs
    assert both.file_bytes == sum(cost.file_bytes for cost in members)
    assert len({one.sha256 for one in judged.results.models}) == 3


def test_what_makes_no_ensemble_is_refused(tiny_run: RunFolder, faceset_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="two models or more"):
        evaluate(["mien-s"], data=faceset_folder, split="PublicTest", together=True)
    members = [open_candidate("mien-s"), replace(open_candidate("mien-xs"), labels=EXPRESSIONS[::-1])]
    with pytest.raises(ModelError, match="mien-s and mien-xs differ in their classes"):
        ensemble(members)


def test_what_was_found_survives_its_file(tiny_run: RunFolder, faceset_folder: Path, tmp_path: Path) -> None:
    found = _evaluated(tiny_run.path, "mien-s", data=faceset_folder)
    (tmp_path / "evaluation.json").write_text(found.to_json())
    assert read_results(tmp_path / "evaluation.json") == found
    (tmp_path / "evaluation.json").write_text(json.dumps({"setting": {}}))
    with pytest.raises(DataError, match="is not an evaluation of this mien"):
        read_results(tmp_path / "evaluation.json")
    with pytest.raises(DataError, match="There is no"):
        read_results(tmp_path / "none.json")


def test_columns_follow_the_labels_of_the_faces_not_of_the_model(tiny_run: RunFolder, faceset: FaceSet) -> None:
    candidate = open_candidate(str(tiny_run.path))
    faces = faceset.split("PublicTest")
    turned = replace(faces, label_names=faces.label_names[::-1])
    plain, other = (predict(candidate, which, 1, lambda what, share: None) for which in (faces, turned))
    np.testing.assert_array_equal(other, plain[:, ::-1])


def test_faces_keep_their_order_over_batches(
    tiny_run: RunFolder, faceset: FaceSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thirty-five faces as one batch, and in batches of eight, the last of three."""
    candidate, faces = open_candidate(str(tiny_run.path)), faceset.split("PublicTest")
    whole = predict(candidate, faces, 2, lambda what, share: None)
    monkeypatch.setattr("mien.evaluation.evaluate.BATCH", 8)
    in_batches = predict(candidate, faces, 2, lambda what, share: None)
    assert len(faces) == 35
    np.testing.assert_allclose(in_batches, whole, atol=1e-6)


def test_a_class_that_the_faces_lack_is_shared_out(tiny_run: RunFolder, faceset: FaceSet, tmp_path: Path) -> None:
    """A model that also knows contempt, and is certain of it on the first face."""
    faces = faceset.split("PublicTest").take(slice(0, 2))
    answers = np.array([[0, 0, 0, 0, 0, 0, 0, 1], [0.1, 0, 0, 0.3, 0, 0, 0.2, 0.4]], np.float32)
    candidate = replace(
        open_candidate(str(tiny_run.path)), labels=EIGHT_EXPRESSIONS, ask=lambda threads: lambda faces_u8: answers
    )
    found = predict(candidate, faces, 1, lambda what, share: None)
    np.testing.assert_allclose(found[0], np.full(7, 1 / 7), rtol=1e-5)
    np.testing.assert_allclose(found[1], [1 / 6, 0, 0, 1 / 2, 0, 0, 1 / 3], atol=1e-6)


def test_faces_with_a_twin_in_training_are_left_out(tiny_run: RunFolder, faceset: FaceSet, tmp_path: Path) -> None:
    """The first five faces of PublicTest are made pixel-identical to faces of Training."""
    faces_u8 = np.array(faceset.faces_u8)
    test = np.flatnonzero(faceset.splits == 1)
    faces_u8[test[:5]] = faces_u8[:5]
    twins = identified(replace(faceset, faces_u8=faces_u8))
    twins.save(tmp_path / "twins.faceset")
    judged = evaluate([str(tiny_run.path)], data=tmp_path / "twins.faceset", split="PublicTest")
    (subset,) = judged.results.models[0].subsets
    right = judged.probabilities["tiny-001"].argmax(1) == faceset.labels[test]
    assert (subset.n, "the 5 faces with a twin in Training" in subset.name) == (30, True)
    assert subset.accuracy == pytest.approx(right[5:].mean())
    called = judged.probabilities["tiny-001"].argmax(1)
    expected = f1_score(faceset.labels[test][5:], called[5:], labels=range(7), average="macro", zero_division=0)
    assert subset.macro_f1 == pytest.approx(expected)
    assert subset.standard_error == pytest.approx((right[5:].mean() * (1 - right[5:].mean()) / 30) ** 0.5)
    assert _evaluated(tiny_run.path, data=tmp_path / "twins.faceset", split="Training").models[0].subsets == ()


def test_ferplus_judges_by_the_majority(tiny_run: RunFolder, faceset: FaceSet, tmp_path: Path) -> None:
    """Ten votes for happiness, each second face; for contempt, which is no class here, the others."""
    votes = np.zeros((len(faceset), len(FERPLUS_COLUMNS)), np.uint8)
    votes[::2, FERPLUS_COLUMNS.index("happiness")] = 10
    votes[1::2, FERPLUS_COLUMNS.index("contempt")] = 10
    replace(faceset, votes=votes, vote_names=FERPLUS_COLUMNS).save(tmp_path / "voted.faceset")
    judged = evaluate([str(tiny_run.path)], data=tmp_path / "voted.faceset", split="PublicTest")
    (subset,) = judged.results.models[0].subsets
    rows = np.flatnonzero(faceset.splits == 1)
    called = judged.probabilities["tiny-001"].argmax(1)[rows % 2 == 0]
    assert (subset.name, subset.n) == ("labels by FER+ majority", len(called))
    assert subset.accuracy == pytest.approx((called == EXPRESSIONS.index("happy")).mean())


def test_subgroups_come_from_the_columns_of_the_faces(tiny_run: RunFolder, faceset: FaceSet, tmp_path: Path) -> None:
    lamp = np.where(np.arange(len(faceset)) % 3 == 0, "dim", "bright")
    replace(faceset, attributes={"lighting": lamp}).save(tmp_path / "lit.faceset")
    (by,) = _evaluated(tiny_run.path, data=tmp_path / "lit.faceset").models[0].subgroups
    assert by.attribute == "lighting"
    assert sum(group.n for group in by.groups) == 35
    assert {group.group for group in by.groups} == {"bright", "dim"}


def test_a_look_at_privatetest_is_logged(
    tiny_run: RunFolder, faceset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _evaluated(tiny_run.path, data=faceset_folder)
    assert not Path("results").exists()
    for _ in range(2):
        found = _evaluated(tiny_run.path, data=faceset_folder, split="PrivateTest")
    with Path("results/private_test_log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert float(rows[0]["accuracy"]) == pytest.approx(found.models[0].evaluation.accuracy, abs=1e-5)
    assert rows[0]["recipe_sha256"] == tiny_run.recipe.sha256()
    assert len(rows[0]["model_sha256"]) == 64


def test_choosing_by_privatetest_has_to_be_meant(
    tiny_run: RunFolder, tiny_file: Path, faceset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    both = [str(tiny_run.path), str(tiny_file)]
    with pytest.raises(DataError, match="Comparing 2 models on PrivateTest amounts to choosing by it; .* --i-know"):
        evaluate(both, data=faceset_folder, split="PrivateTest")
    assert not Path("results").exists(), "a look that was refused is not a look"
    evaluate(both, data=faceset_folder, split="PrivateTest", choosing=True)
    with Path("results/private_test_log.csv").open() as file:
        assert [row["model"] for row in csv.DictReader(file)] == ["tiny-001", "tiny"]


def test_faces_that_do_not_fit_are_refused(tiny_run: RunFolder, faceset: FaceSet, faceset_folder: Path) -> None:
    candidate = open_candidate(str(tiny_run.path))
    with pytest.raises(ModelError, match="knows angry, .* also has contempt; evaluate it on faces of classes"):
        candidate.check_fits(replace(faceset, label_names=EIGHT_EXPRESSIONS))
    with pytest.raises(DataError, match=r"takes faces of \(48, 48\), and drawn has \(40, 40\)"):
        candidate.check_fits(replace(faceset, faces_u8=faceset.faces_u8[:, :40, :40]))
    with pytest.raises(DataError, match="no split 'Test'"):
        _evaluated(tiny_run.path, data=faceset_folder, split="Test")
    with pytest.raises(ModelError, match="given twice"):
        _evaluated(tiny_run.path, tiny_run.path, data=faceset_folder)


def test_two_models_of_one_name_are_called_by_the_folders_that_tell_them_apart(
    tiny_file: Path, faceset_folder: Path, tmp_path: Path
) -> None:
    copies = [tmp_path / folder / "runs" / tiny_file.name for folder in "ab"]
    for copy in copies:
        copy.parent.mkdir(parents=True)
        copy.write_bytes(tiny_file.read_bytes())
    found = _evaluated(*copies, data=faceset_folder)
    assert [one.evaluation.model for one in found.models] == ["a/runs/tiny.onnx", "b/runs/tiny.onnx"]


def test_progress_runs_once_over_all_models_and_conditions_and_ends_at_one(
    tiny_run: RunFolder, tiny_file: Path, faceset_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost, "ROUNDS", 1)
    told: list[tuple[str, float]] = []
    evaluate(
        [str(tiny_run.path), str(tiny_file)],
        data=faceset_folder,
        split="PublicTest",
        timed=True,
        stressed=True,
        progress=lambda what, share: told.append((what, share)),
    )
    judging = [share for what, share in told if what != "Timing"]
    assert judging == sorted(judging)
    assert judging[-1] == pytest.approx(1.0)
    assert ("Evaluating tiny-001", pytest.approx(0.5 / (1 + len(CONDITIONS)))) in told
    assert told[-1] == ("Timing", 1.0)


def test_a_model_that_may_have_learnt_the_faces_is_named(
    tiny_run: RunFolder, faceset: FaceSet, faceset_folder: Path, tmp_path: Path
) -> None:
    """Same faces, divided anew: in that set, and for a model of that set in the one that it came from."""
    divide(faceset, {"train": 0.8, "test": 0.2}).save(tmp_path / "anew.faceset")
    judged = evaluate([str(tiny_run.path)], data=tmp_path / "anew.faceset", split="test")
    assert judged.results.warnings == (
        "tiny-001 was trained on “drawn”, and “drawn (all of it divided anew)” has the same faces in other splits: "
        "those of test may be ones that it has learnt, and its scores too good.",
    )
    path = tmp_path / "report" / "evaluation.json"
    write_report(judged, path.parent, gallery=False)
    assert read_results(path).warnings == judged.results.warnings
    assert "may be ones that it has learnt" in (path.parent / "report.html").read_text()
    for model in (str(tiny_run.path), "mien-s"):  # on its own splits, and one of other faces
        assert evaluate([model], data=faceset_folder, split="PublicTest").results.warnings == ()
    recipe = load_recipe("mien-s", [*TINY, "epochs=1", "data.train=train", "data.validate_on=test"])
    other = train(recipe, data=tmp_path / "anew.faceset", out=tmp_path)
    assert len(evaluate([str(other.path)], data=faceset_folder, split="PublicTest").results.warnings) == 1
    assert evaluate([str(other.path)], data=tmp_path / "anew.faceset", split="test").results.warnings == ()
    recipe = load_recipe(
        "mien-s", [*TINY, "epochs=1", "data.train=train", "data.validate_on=test", f"start.run={tiny_run.path}"]
    )
    begun = train(recipe, data=tmp_path / "anew.faceset", out=tmp_path)
    (said,) = evaluate([str(begun.path)], data=tmp_path / "anew.faceset", split="test").results.warnings
    assert "was trained on “drawn”" in said, "what it started from was"


def test_a_model_judged_by_the_faces_it_learnt_from_is_named(
    tiny_run: RunFolder, faceset: FaceSet, faceset_folder: Path, tmp_path: Path
) -> None:
    (said,) = evaluate([str(tiny_run.path)], data=faceset_folder, split="Training").results.warnings
    assert said == "tiny-001 learnt from Training: its scores there say what it remembers, and no more."
    anew = divide(faceset, {"train": 0.8, "test": 0.2})
    for name, judged in (("FER+ (Training divided anew)", True), ("FER+", False), ("CK (all divided anew)", False)):
        identified(replace(anew, name=name)).save(tmp_path / f"{judged}{len(name)}.faceset")
        found = evaluate(["mien-s"], data=tmp_path / f"{judged}{len(name)}.faceset", split="test").results.warnings
        assert ["FER2013" in sentence for sentence in found] == [True] * judged, name


@pytest.mark.parametrize(
    ("data", "start", "faces", "split", "warned"),
    [
        ("FER2013", "scratch", "FER+", "Training", "m learnt from Training"),
        ("FER+", "scratch", "FER2013", "Training", "m learnt from Training"),
        ("FER2013", "scratch", "FER+", "PublicTest", None),
        ("mine", "FER2013", "FER2013", "Training", "A model that m started from learnt from Training"),
        ("mine", "FER2013", "FER+", "Training", "A model that m started from learnt from Training"),
        ("mine", "FER2013", "FER2013", "PublicTest", None),
        ("mine", "FER2013", "FER2013 (all divided anew)", "test", "the same faces in other splits"),
        ("mine (all divided anew)", "scratch", "mine (all divided anew)", "test", "the same faces in other splits"),
        ("mine", "mine (all divided anew)", "mine (all divided anew)", "test", "the same faces in other splits"),
        ("mine", "mine", "mine", "Training", "m learnt from Training"),
        ("another", "mine", "mine", "Training", "A model that m started from"),
    ],
)
def test_what_may_have_been_learnt_goes_by_faces_and_splits(
    faceset: FaceSet, data: str, start: str, faces: str, split: str, warned: str | None
) -> None:
    if start != "scratch":
        start = f"x, trained on {start} (file's SHA-256 0123456789ab…)"
    made = Provenance("r", "", data, "another hash", "c", 0, 1, start)
    candidate = Candidate("m", EXPRESSIONS, lambda threads: None, None, None, 1, 1, (), made)  # type: ignore[arg-type,return-value]
    said = may_have_learnt(candidate, replace(faceset, name=faces), split)
    assert (said is None) == (warned is None)
    assert (warned or "") in (said or "")


def test_a_calibration_fitted_on_the_very_faces_is_known_by_their_splits(faceset: FaceSet) -> None:
    own, alias = replace(faceset, name="FER2013"), replace(faceset, name="FER+", sha256="that of other labels")
    anew = replace(faceset, name="FER2013 (all divided anew)", sha256="of this seed")
    assert same_splits("FER2013", own.sha256, own)
    assert same_splits("FER2013", own.sha256, alias)
    assert same_splits(anew.name, anew.sha256, anew)
    assert not same_splits(anew.name, "of another seed", anew)
    assert not same_splits("FER2013", own.sha256, anew)


def test_private_test_divided_anew_is_still_private_test(
    faceset: FaceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    divide(faceset, {"a": 0.5, "b": 0.5}, only="PrivateTest").save(tmp_path / "part.faceset")
    with pytest.raises(DataError, match="Comparing 2 models on PrivateTest amounts to choosing by it"):
        evaluate(["mien-s", "mien-xs"], data=tmp_path / "part.faceset", split="a")
    assert not (tmp_path / LOG).exists()
    evaluate(["mien-xs"], data=tmp_path / "part.faceset", split="b")
    assert len((tmp_path / LOG).read_text().splitlines()) == 2


def test_faces_that_stand_and_fall_together_are_no_cases_of_their_own(faceset: FaceSet, tmp_path: Path) -> None:
    clips = replace(faceset, attributes={GROUP: np.array([f"clip {face // 5}" for face in range(len(faceset))])})
    identified(clips).save(tmp_path / "clips.faceset")
    (said,) = evaluate(["mien-xs"], data=tmp_path / "clips.faceset", split="PublicTest").results.warnings
    assert "35 faces are of 7 groups (videos, people)" in said


def test_faces_of_one_class_judge_nobody(faceset: FaceSet, tmp_path: Path) -> None:
    happy = faceset.take(np.flatnonzero(faceset.labels == EXPRESSIONS.index("happy")))
    alone = replace(happy, labels=np.zeros(len(happy), np.int8), label_names=("happy",))
    identified(alone).save(tmp_path / "happy.faceset")
    with pytest.raises(DataError, match="All faces of drawn are happy, so that every answer would be right"):
        evaluate(["mien-xs"], data=tmp_path / "happy.faceset", split="PublicTest")
