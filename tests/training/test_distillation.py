import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from mien.data.faceset import FaceSet
from mien.data.split import divide
from mien.errors import DataError, MienError, RecipeError, TrainingError, TrainingStopped
from mien.training.batches import Batch
from mien.training.distillation import deal
from mien.training.module import TrainingModule
from mien.training.recipe_files import load_recipe
from mien.training.run_folder import RunFolder
from mien.training.torch_classifier import TorchClassifier
from mien.training.train import resume, train
from mien.training.watcher import StepProgress, Watcher
from tests.conftest import TINY, drawn_faceset


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe of the tiny net."""
    path = tmp_path_factory.mktemp("recipes") / "teacher.yaml"
    recipe = load_recipe("mien-s", [*TINY, "name=teacher", "epochs=6", "precision=fp32"])
    path.write_text(recipe.to_yaml())
    return path


def _student(teacher: Path | str, *more: str) -> list[str]:
    return [*TINY, "name=student", "epochs=3", "precision=fp32", f"teachers=[{teacher}]", *more]


@pytest.fixture(scope="module")
def taught(teacher: Path, faceset_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished student of three cross-fitted teachers."""
    out = tmp_path_factory.mktemp("taught")
    return train(load_recipe("mien-s", _student(teacher)), data=faceset_folder, out=out)


def test_folds_keep_groups_together_and_classes_even() -> None:
    faces = drawn_faceset(420)
    groups = np.arange(420, dtype=np.int32)
    groups[7:14] = groups[:7]  # seven faces have a twin
    twins: FaceSet = replace(faces, groups=groups)
    fold_of = deal(twins, 3, seed=0)
    np.testing.assert_array_equal(fold_of[7:14], fold_of[:7])
    assert np.bincount(fold_of).tolist() == pytest.approx([140, 140, 140], abs=8)
    for label in range(7):
        assert np.bincount(fold_of[faces.labels == label], minlength=3).tolist() == pytest.approx([20] * 3, abs=3)
    assert (deal(twins, 3, seed=0) == fold_of).all()
    assert (deal(twins, 3, seed=1) != fold_of).any()


def test_each_teacher_answers_for_the_faces_it_has_not_seen(taught: RunFolder, faceset: FaceSet) -> None:
    learn = faceset.split("Training")
    fold_of = deal(learn, 3, taught.recipe.seed)
    answers = np.load(taught.answers_path)
    np.testing.assert_allclose(answers.sum(1), 1, atol=1e-5)
    for fold in range(3):
        teacher = RunFolder(taught.path / "teachers" / f"teacher-fold-{fold + 1}-of-3")
        held_out = learn.take(np.flatnonzero(fold_of == fold))
        _, labels = teacher.predictions()
        np.testing.assert_array_equal(labels, held_out.labels)
        assert teacher.card().score.split == f"fold {fold + 1} of 3"
        classifier = TorchClassifier(teacher)
        both = classifier.probabilities(held_out.faces_u8), classifier.probabilities(held_out.faces_u8[:, :, ::-1])
        np.testing.assert_allclose(answers[fold_of == fold], np.mean(both, axis=0), atol=1e-6)
    assert (answers.argmax(1) == learn.labels).mean() > 0.5, "they have learnt; chance is 1/7"


class Stop(Watcher):
    """Presses Ctrl-C at the n-th step it hears of."""

    def __init__(self, at: int) -> None:
        self._left = at

    def on_step(self, progress: StepProgress) -> None:
        self._left -= 1
        if self._left == 0:
            signal.raise_signal(signal.SIGINT)


def test_teachers_and_student_are_one_resumable_run(
    taught: RunFolder, teacher: Path, faceset_folder: Path, tmp_path: Path
) -> None:
    """Stopped in the second teacher, then in the student: the weights are those of the run that was left alone."""
    with pytest.raises(TrainingStopped, match=rf"Go on with: mien train --resume {tmp_path}/student-001$"):
        train(load_recipe("mien-s", _student(teacher)), data=faceset_folder, out=tmp_path, watcher=Stop(at=20))
    run = RunFolder(tmp_path / "student-001")
    assert [path.name for path in sorted((run.path / "teachers").iterdir())][-1] == "teacher-fold-2-of-3"
    with pytest.raises(TrainingStopped):
        resume(run, watcher=Stop(at=24))
    assert run.answers_path.is_file()
    whole, stopped = taught.network().state_dict(), resume(run).network().state_dict()
    assert all(torch.equal(whole[name], stopped[name]) for name in whole)


def test_a_teacher_that_changed_since_is_refused(faceset_folder: Path, teacher: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(teacher.read_text())
    with pytest.raises(TrainingStopped):
        train(load_recipe("mien-s", _student(mine)), data=faceset_folder, out=tmp_path, watcher=Stop(at=20))
    mine.write_text(load_recipe(str(teacher), ["optimiser.lr=0.03"]).to_yaml())
    with pytest.raises(RecipeError, match="has changed since .*fold-1-of-3 was trained by it; start a new run"):
        resume(RunFolder(tmp_path / "student-001"))


def test_a_teacher_is_trained_as_its_own_recipe_says(teacher: Path, faceset_folder: Path, tmp_path: Path) -> None:
    settings = _student(teacher, "precision=bf16", "seed=3", "epochs=1")
    student = train(load_recipe("mien-s", settings), data=faceset_folder, out=tmp_path)
    made = [RunFolder(path).environment() for path in sorted((student.path / "teachers").iterdir())]
    assert [(one["precision"], one["seed"]) for one in made] == [("fp32", 0)] * 3
    assert student.environment()["precision"] == "bf16"


def test_answers_are_used_again_and_are_half_of_what_is_learnt(
    taught: RunFolder, faceset: FaceSet, faceset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt: list[np.ndarray] = []
    step = TrainingModule.training_step

    def listening(self: TrainingModule, batch: Batch, index: int) -> dict[str, torch.Tensor]:
        learnt.append(batch.targets.numpy())
        return step(self, batch, index)

    monkeypatch.setattr(TrainingModule, "training_step", listening)
    settings = _student(taught.path, "seed=1", "epochs=1", "augmentation.mixup_alpha=0")
    again = train(load_recipe("mien-s", settings), data=faceset_folder, out=tmp_path)
    assert not (again.path / "teachers").exists()
    answers = np.load(taught.answers_path)
    np.testing.assert_array_equal(np.load(again.answers_path), answers)
    expected = 0.5 * np.eye(7)[faceset.split("Training").labels] + 0.5 * answers
    order = [np.lexsort(targets.T) for targets in (np.concatenate(learnt), expected)]
    np.testing.assert_allclose(np.concatenate(learnt)[order[0]], expected[order[1]], atol=1e-6)


def test_answers_for_other_faces_are_refused(taught: RunFolder, tmp_path: Path) -> None:
    other = tmp_path / "other.faceset"
    drawn_faceset(210, seed=1).save(other)
    with pytest.raises(TrainingError, match="are for the 140 faces of another FaceSet; train on that"):
        train(load_recipe("mien-s", _student(taught.path)), data=other, out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_answers_for_another_split_are_refused(
    taught: RunFolder, teacher: Path, faceset: FaceSet, tmp_path: Path
) -> None:
    """Two splits of one FaceSet may be of one size."""
    divided = divide(faceset, {"one": 0.4, "other": 0.4, "PublicTest": 0.2})
    divided.save(tmp_path / "divided.faceset")
    run = tmp_path / "taught"
    shutil.copytree(taught.path, run, ignore=shutil.ignore_patterns("teachers"))
    (run / "recipe.yaml").write_text(taught.recipe.to_yaml().replace("train: Training", "train: one"))
    np.save(run / "answers.npy", np.full((len(divided.split("other")), 7), 1 / 7, np.float32))
    environment = json.loads((run / "environment.json").read_text())
    (run / "environment.json").write_text(json.dumps(environment | {"data_sha256": divided.sha256}))
    with pytest.raises(TrainingError, match="are for the faces of one, and the recipe learns from other; name a"):
        settings = _student(run, "data.train=other")
        train(load_recipe("mien-s", settings), data=tmp_path / "divided.faceset", out=tmp_path / "runs")


def test_too_few_groups_for_the_folds_are_told_before_a_run_folder_is_made(teacher: Path, tmp_path: Path) -> None:
    faces = drawn_faceset(210)
    two_videos: FaceSet = replace(faces, groups=np.arange(210, dtype=np.int32) % 2)
    two_videos.save(tmp_path / "videos.faceset")
    with pytest.raises(DataError, match="The teachers need 3 folds .* too few for that: 2 groups that must stay"):
        train(load_recipe("mien-s", _student(teacher)), data=tmp_path / "videos.faceset", out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_teachers_threads_are_its_own_and_the_students_folder_is_locked_meanwhile(
    teacher: Path, faceset_folder: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "alone.yaml"
    alone.write_text(load_recipe(str(teacher), ["epochs=1", "resources.threads=1"]).to_yaml())
    seen: list[tuple[str, int, bool]] = []

    class Look(Watcher):
        def on_start(self, run: RunFolder) -> None:
            self._name = run.path.name

        def on_step(self, progress: StepProgress) -> None:
            seen.append((self._name, torch.get_num_threads(), RunFolder(tmp_path / "student-001").is_locked))

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        settings = _student(alone, "epochs=1", "folds=2")
        train(load_recipe("mien-s", settings), data=faceset_folder, out=tmp_path, watcher=Look())
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    teachers = {(f"teacher-fold-{fold}-of-2", 1, True) for fold in (1, 2)}
    assert set(seen) == {*teachers, ("student-001", 2, True)}


def test_who_cannot_teach(tiny_run: RunFolder, teacher: Path, faceset_folder: Path, tmp_path: Path) -> None:
    nested = tmp_path / "nested.yaml"
    nested.write_text(yaml.safe_dump(yaml.safe_load(teacher.read_text()) | {"teachers": ["mien-s"]}))
    large = tmp_path / "large.yaml"
    large.write_text(load_recipe(str(teacher), ["input.face_px=64", "input.view_px=60"]).to_yaml())
    cases: list[tuple[str, type[MienError], str]] = [
        (str(tiny_run.path), TrainingError, "has seen every training face"),
        (str(nested), RecipeError, "has teachers itself"),
        ("mien-z", RecipeError, "There is no recipe 'mien-z'"),
        (str(large), DataError, r"Recipe teacher takes faces of \(64, 64\)"),
    ]
    for start in ("mien-s", str(tiny_run.path)):
        key = "run" if Path(start).is_dir() else "model"
        begun = tmp_path / f"{key}.yaml"
        begun.write_text(load_recipe(str(teacher), [f"start.{key}={start}"]).to_yaml())
        cases.append((str(begun), RecipeError, "starts from a trained model, which may have learnt the very faces"))
    twice = tmp_path / "twice.yaml"
    twice.write_text(load_recipe(str(teacher), ["seed=1"]).to_yaml())
    cases.append((f"{teacher},{twice}", RecipeError, "Two teachers are called teacher; give each recipe a `name`"))
    for name, error, words in cases:
        with pytest.raises(error, match=words):
            train(load_recipe("mien-s", _student(name)), data=faceset_folder, out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_shares_beyond_the_whole_are_refused(teacher: Path) -> None:
    with pytest.raises(RecipeError, match="together they are at most 1"):
        load_recipe("mien-s", _student(teacher, "targets.vote_share=0.6"))


def test_a_run_without_its_teachers_folder_still_evaluates(taught: RunFolder, tmp_path: Path) -> None:
    shutil.copytree(taught.path, tmp_path / "moved", ignore=shutil.ignore_patterns("teachers", "answers.npy"))
    assert RunFolder(tmp_path / "moved").card().score == taught.card().score
