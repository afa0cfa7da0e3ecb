"""A study that is stopped, killed, short of time or partly hopeless still ends with all it can have."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from filelock import FileLock

from mien.data.faceset import FaceSet, identified, open_faceset
from mien.errors import DataError, OutputError, StudyError, TrainingStopped
from mien.studies.compare import make_report
from mien.studies.engine import LocalEngine, StudyWatcher
from mien.studies.estimate import timed
from mien.studies.folder import StudyFolder, begin
from mien.studies.job import Job, Outcome, carry_out, keep_stage
from mien.studies.run import run_study, unfinished
from mien.studies.study import Study
from mien.training.recipe import Recipe
from mien.training.run_folder import RunFolder
from mien.training.train import train_at
from mien.training.watcher import StepProgress, Watcher


def _weights(run: Path) -> dict[str, torch.Tensor]:
    return RunFolder(run).network().state_dict()


def _same(first: Path, second: Path) -> bool:
    others = _weights(second)
    return all(torch.equal(value, others[name]) for name, value in _weights(first).items())


class Heard(StudyWatcher):
    """Notes which trainings begin, and what becomes of them."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: dict[str, Outcome] = {}

    def on_begin(self, job: Job) -> Watcher:
        self.begun.append(job.name)
        return Watcher()

    def on_end(self, job: Job, outcome: Outcome) -> None:
        self.ended[job.name] = outcome


def test_a_state_before_the_end_is_what_a_shorter_training_ends_with(done: StudyFolder, tmp_path: Path) -> None:
    half = done.path / "runs" / "fast-after-2"
    (fast,) = (training for training in done.trainings if training.name == "fast")
    shorter = fast.recipe.model_copy(update={"epochs": 2})
    alone = train_at(tmp_path / "alone", shorter, data=done.faceset_path)
    assert _same(half, alone.path)
    np.testing.assert_array_equal(RunFolder(half).predictions()[0], alone.predictions()[0])
    assert RunFolder(half).recipe == shorter
    losses = [[row["train_loss"] for row in RunFolder(path).metrics()] for path in (half, alone.path)]
    assert losses[0] == losses[1]
    assert not _same(half, done.path / "runs" / "fast")


def test_a_state_that_is_asked_for_later_is_trained_then(done: StudyFolder, tmp_path: Path) -> None:
    later = tmp_path / "s"
    shutil.copytree(done.path, later)
    shutil.rmtree(later / "runs" / "fast-after-2")
    assert run_study(StudyFolder(later), engine=LocalEngine()) == []
    assert _same(later / "runs" / "fast-after-2", done.path / "runs" / "fast-after-2")


def test_a_state_keeps_its_teachers_answers(done: StudyFolder, tmp_path: Path) -> None:
    """Else its teachers would be trained once more."""
    run = RunFolder(shutil.copytree(done.path / "runs" / "fast", tmp_path / "fast"))
    np.save(run.answers_path, np.eye(7, dtype=np.float32))
    keep_stage(run, 2, tmp_path / "fast-after-2")
    np.testing.assert_array_equal(np.load(RunFolder(tmp_path / "fast-after-2").answers_path), np.eye(7))


def test_a_look_at_a_run_keeps_no_training_from_it(tiny_run: RunFolder) -> None:
    """To see whether a run is locked, its lock is taken for a moment."""
    look = FileLock(tiny_run.path / ".lock", thread_local=False)
    look.acquire()
    assert tiny_run.is_locked
    threading.Timer(0.1, look.release, kwargs={"force": True}).start()
    with tiny_run.locked():
        pass


def test_a_study_is_carried_out_by_one_process_at_a_time(
    make_study: Callable[..., Study], faceset_folder: Path, tmp_path: Path
) -> None:
    folder = begin(tmp_path / "s", make_study(), data=faceset_folder)
    with folder.locked(), pytest.raises(StudyError, match="Another process is carrying out the study in"):
        run_study(folder, engine=LocalEngine())
    assert [folder.state(training) for training in folder.trainings] == ["not begun"] * 2


def test_what_has_finished_is_skipped(done: StudyFolder, faceset_folder: Path) -> None:
    again = begin(done.path, done.study, data=faceset_folder)
    heard = Heard()
    assert run_study(again, engine=LocalEngine(), watcher=heard) == []
    assert heard.begun == []


def test_a_study_killed_twice_ends_as_if_left_alone(
    make_study: Callable[..., Study], faceset_folder: Path, tmp_path: Path
) -> None:
    """Once in the middle of the first training, once of the second: with SIGKILL, from outside."""
    variants = {"slow": {"set": {"optimiser.lr": 0.01, "epochs": 16}}, "fast": {"set": {"epochs": 16}}}
    whole = begin(tmp_path / "whole", make_study(variants=variants), data=faceset_folder)
    run_study(whole, engine=LocalEngine())
    study = tmp_path / "small.yaml"
    study.write_text(whole.study.to_yaml())
    command = [sys.executable, "-m", "mien", "study", "run", str(study), "--data", str(faceset_folder), "--out"]
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    folder = tmp_path / "killed"
    for run in ("slow", "fast"):
        with (tmp_path / "log").open("ab") as log:
            process = subprocess.Popen([*command, str(folder)], env=environment, stdout=log, stderr=log)
        metrics = folder / "runs" / run / "metrics.csv"
        while process.poll() is None and not metrics.exists():
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, (tmp_path / "log").read_text()
        assert not RunFolder(folder / "runs" / run).finished
    last = subprocess.run([*command, str(folder)], env=environment, capture_output=True, text=True)
    assert last.returncode == 0, last.stderr
    assert "slow: epoch" not in last.stderr
    assert "mien study report" in last.stdout
    for run in ("slow", "fast", "fast-after-2"):
        assert _same(whole.path / "runs" / run, folder / "runs" / run), run


def test_a_failed_training_is_noted_and_the_others_go_on(
    make_study: Callable[..., Study], faceset_folder: Path, tmp_path: Path
) -> None:
    variants = {"slow": {"set": {"optimiser.lr": 1e30}}, "fast": {}}
    folder = begin(tmp_path / "s", make_study(variants=variants), data=faceset_folder)
    heard = Heard()
    (left,) = run_study(folder, engine=LocalEngine(), watcher=heard)
    assert (left.name, heard.ended) == ("slow", {"slow": Outcome.FAILED, "fast": Outcome.FINISHED})
    slow, fast = folder.trainings
    assert folder.state(slow).startswith("failed: The loss became")
    assert folder.state(fast) == "finished"


def test_an_error_that_nobody_expected_is_one_trainings_too(done: StudyFolder, tmp_path: Path) -> None:
    class Broken(Watcher):
        def on_step(self, progress: StepProgress) -> None:
            raise RuntimeError("out of memory")

    job = replace(done.jobs(1)[0], path=tmp_path / "run", problem_path=tmp_path / "problem.json")
    assert carry_out(job, Broken()) is Outcome.FAILED
    assert "RuntimeError: out of memory" in job.problem_path.read_text()


def test_ctrl_c_says_how_to_go_on(make_study: Callable[..., Study], faceset_folder: Path, tmp_path: Path) -> None:
    class Stop(Heard):
        def on_begin(self, job: Job) -> Watcher:
            class AtOnce(Watcher):
                def on_step(self, progress: StepProgress) -> None:
                    if job.name == "fast" and progress.epoch == 2:
                        signal.raise_signal(signal.SIGINT)

            return AtOnce()

    folder = begin(tmp_path / "s", make_study(), data=faceset_folder)
    sentence = rf"1 of 2 trainings finished.*Go on with: mien study run {tmp_path}/s"
    with pytest.raises(TrainingStopped, match=sentence):
        run_study(folder, engine=LocalEngine(), watcher=Stop())
    assert folder.state(folder.trainings[1]) == "stopped, 1 of 4 epochs"
    assert run_study(StudyFolder(tmp_path / "s"), engine=LocalEngine()) == []


def test_no_training_begins_that_would_not_end_in_time(
    make_study: Callable[..., Study], faceset_folder: Path, tmp_path: Path
) -> None:
    folder = begin(tmp_path / "s", make_study(), data=faceset_folder)
    jobs = [replace(job, deadline_s=1000.0, epoch_s=30.0) for job in folder.jobs(1)]
    assert jobs[0].time_left_s() == 4 * 30
    assert carry_out(jobs[0], Watcher(), clock=lambda: 881.0) is Outcome.LEFT
    taught = jobs[0].recipe.model_copy(update={"teachers": ("mien-s",)})
    unknown = replace(jobs[0], epoch_s=None)
    assert carry_out(replace(unknown, recipe=taught), Watcher(), clock=lambda: 0.0) is Outcome.LEFT, "nobody knows"
    assert carry_out(replace(unknown, data=tmp_path / "gone"), Watcher(), clock=lambda: 0.0) is Outcome.FAILED
    assert jobs[0].problem is Outcome.FAILED, "why it could not be measured is told"
    assert not jobs[0].path.exists()
    assert carry_out(jobs[0], Watcher(), clock=lambda: 879.0) is Outcome.FINISHED
    assert jobs[0].time_left_s() == 0
    heard = Heard()
    (left,) = run_study(folder, engine=LocalEngine(), watcher=heard, budget_s=0.0)
    assert (left.name, heard.ended) == ("fast", {"fast": Outcome.LEFT})
    assert folder.state(folder.trainings[1]) == "not begun"


def test_a_stopped_training_is_judged_by_its_own_pace(done: StudyFolder, tmp_path: Path) -> None:
    job = replace(done.jobs(1)[0], path=tmp_path / "run", epoch_s=1000.0)
    shutil.copytree(done.path / "runs" / "slow", job.path)
    rows = (job.path / "metrics.csv").read_text().splitlines()
    (job.path / "metrics.csv").write_text("\n".join(rows[:2]) + "\n")
    (job.path / "predictions.parquet").unlink()
    own = float(RunFolder(job.path).metrics()[0]["seconds"])
    assert job.time_left_s() == pytest.approx(3 * own)


def test_each_distinct_network_is_measured_once(
    make_study: Callable[..., Study], faceset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def took(path: Path, recipe: Recipe, **how: Any) -> None:
        how["watcher"].steps_s.append({"mien-tiny": 1.0, "mien-xs": 3.0}[str(recipe.network)])

    monkeypatch.setattr("mien.studies.estimate.train_at", took)
    variants = {"slow": {}, "fast": {}, "other": {"set": {"network": "mien-xs"}}}
    study = make_study(variants=variants, grid={"optimiser.lr": [0.1, 1e30]}, tables=[], comparisons=[])
    folder = begin(tmp_path / "s", study, data=faceset_folder)
    said: list[str] = []
    jobs = timed(folder.jobs(1), measure_s=1.0, progress=lambda what, share: said.append(what))
    assert len(said) == 2 + 1
    assert {job.epoch_s for job in jobs[:4]} == {jobs[0].epoch_s}
    assert jobs[4].epoch_s == pytest.approx(3 * (jobs[0].epoch_s or 0))
    assert not any(job.path.exists() for job in jobs)


def test_what_is_measured_is_a_step_at_full_size(
    make_study: Callable[..., Study], faceset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study(variants={"fast": {"set": {"augmentation.early_px": 32}}}, tables=[], comparisons=[])
    measured: list[Recipe] = []

    def record(path: Path, recipe: Recipe, **how: Any) -> None:
        measured.append(recipe)
        how["watcher"].steps_s.append(1.0)

    monkeypatch.setattr("mien.studies.estimate.train_at", record)
    folder = begin(tmp_path / "s", study, data=faceset_folder)
    assert folder.trainings[0].recipe.augmentation.early_px == 32
    timed(folder.jobs(1), measure_s=1.0)
    assert measured[0].augmentation.early_px is None
    assert measured[0].optimiser.muon_lr == measured[0].optimiser.lr < 1e-5


def test_what_cannot_be_measured_leaves_the_others_their_time(
    make_study: Callable[..., Study], faceset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def took(path: Path, recipe: Recipe, **how: Any) -> None:
        if recipe.batch_size == 64:
            raise RuntimeError("out of memory")
        how["watcher"].steps_s.append(1.0)

    monkeypatch.setattr("mien.studies.estimate.train_at", took)
    variants = {"fast": {"set": {"batch_size": 64}}, "other": {"set": {"batch_size": 35}}}
    folder = begin(tmp_path / "s", make_study(variants=variants, tables=[], comparisons=[]), data=faceset_folder)
    failing, other = timed(folder.jobs(1), measure_s=1.0)
    assert failing.epoch_s is None
    assert other.epoch_s


def test_ctrl_c_ends_all_of_the_measuring(
    make_study: Callable[..., Study], faceset_folder: Path, tmp_path: Path
) -> None:
    variants = {"fast": {}, "other": {"set": {"batch_size": 70}}}
    folder = begin(tmp_path / "s", make_study(variants=variants, tables=[], comparisons=[]), data=faceset_folder)
    measured: list[str] = []

    def interrupted() -> float:
        signal.raise_signal(signal.SIGINT)
        return 0.0

    with pytest.raises(KeyboardInterrupt):
        timed(folder.jobs(1), measure_s=60.0, progress=lambda what, share: measured.append(what), clock=interrupted)
    assert measured == ["Measuring fast"]


def test_a_folder_keeps_to_one_study(
    done: StudyFolder, make_study: Callable[..., Study], faceset_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(StudyError, match="begun with --epochs-scale 1.0, and this is 0.5; give another --out"):
        begin(done.path, done.study, data=faceset_folder, scale=0.5)
    with pytest.raises(StudyError, match="begun with --set nothing, and this is label_smoothing=0"):
        begin(done.path, done.study, data=faceset_folder, changes=["label_smoothing=0"])
    changed = begin(tmp_path / "s", make_study(), data=faceset_folder)
    shutil.copytree(done.path / "runs" / "slow", changed.path / "runs" / "fast")
    with pytest.raises(StudyError, match="fast was trained by another recipe than study small now says"):
        unfinished(changed)
    shutil.rmtree(changed.path / "runs" / "fast")
    shutil.copytree(done.path / "runs" / "slow", changed.run_path(changed.trainings[1], 2))
    with pytest.raises(StudyError, match="fast-after-2 was trained by another recipe than study small now says"):
        unfinished(changed)
    shutil.copytree(done.path / "runs" / "slow", changed.path / "runs" / "fast")
    with pytest.raises(StudyError, match="begun with data: None, and this is parts=.*; give another --out"):
        begin(changed.path, make_study(data={"parts": {"Training": 0.5, "PublicTest": 0.5}}), data=faceset_folder)
    before = (changed.path / "study.yaml").read_bytes()
    edited = make_study(variants={"slow": {"set": {"label_smoothing": 0.2}}, "fast": {}})
    for now in (edited, make_study()):
        with pytest.raises(StudyError, match="was trained by another recipe"):
            begin(changed.path, now, data=faceset_folder)
    with pytest.raises(StudyError, match="was trained by another recipe"):
        make_report(changed)
    assert (changed.path / "study.yaml").read_bytes() == before
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(StudyError, match="is there and holds no study"):
        begin(tmp_path / "full", make_study(), data=faceset_folder)
    with pytest.raises(StudyError, match="is not a study's folder"):
        StudyFolder(tmp_path)
    for broken in ("", "[]", "{}"):
        (changed.path / "settings.json").write_text(broken)
        with pytest.raises(StudyError, match=r"settings\.json is missing or broken; begin the study anew"):
            StudyFolder(changed.path)


def test_faces_that_do_not_fit_are_refused_before_anything_is_written(
    make_study: Callable[..., Study], faceset_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="takes the split 'Train'"):
        begin(tmp_path / "s", make_study(), data=faceset_folder, changes=["data.train=Train"])
    by_class = {"title": "T", "columns": [{"name": "Recall", "measure": "recall", "run": "fast"}]}
    study = make_study(tables=[by_class | {"rows": [{"name": "Anger", "of": "angryy", "printed": "50%"}]}])
    with pytest.raises(StudyError, match="no class 'angryy'; did you mean angry"):
        begin(tmp_path / "s", study, data=faceset_folder)
    assert not (tmp_path / "s").exists()


def test_a_study_divides_the_faces_as_its_paper_did(
    make_study: Callable[..., Study], faceset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the disk was full at first."""
    changes = ["data.train=train", "data.validate_on=test"]
    data = {"only": "Training", "take": 14018, "parts": {"train": 0.8, "test": 0.2}}
    with monkeypatch.context() as full_disk, pytest.raises(OutputError):
        full_disk.setattr(FaceSet, "save", Mock(side_effect=OutputError("Cannot write: no space left on device.")))
        begin(tmp_path / "s", make_study(data=data), data=faceset_folder, changes=changes)
    folder = begin(tmp_path / "s", make_study(data=data), data=faceset_folder, changes=changes)
    faces = open_faceset(folder.faceset_path)
    assert folder.faceset_path == folder.path / "faces.faceset"
    assert np.bincount(faces.splits).tolist() == [112, 28], "all of Training's 140, since there are fewer than 14,018"
    assert begin(folder.path, folder.study, data=faceset_folder, changes=changes).faceset_path == folder.faceset_path


def test_splits_of_their_makers_are_no_division_of_the_papers(
    make_study: Callable[..., Study], faceset: FaceSet, tmp_path: Path
) -> None:
    """Whatever they are called; a set that was divided anew stays as it is, and so does production data."""
    names = ("train", "validation", "production")
    identified(replace(faceset, split_names=names)).save(tmp_path / "own.faceset")
    data = {"parts": {"train": 0.5, "validation": 0.5}, "by": "face"}
    columns = [{"name": "Accuracy", "measure": "accuracy", "split": "production"}]
    tables = [{"title": "T", "columns": columns, "rows": [{"name": "fast", "run": "fast", "printed": "50%"}]}]
    changes = ["data.train=train", "data.validate_on=validation"]
    study = make_study(data=data, tables=tables)
    folder = begin(tmp_path / "s", study, data=tmp_path / "own.faceset", changes=changes)
    divided = open_faceset(folder.faceset_path)
    assert divided.split_names == names
    production = faceset.splits == 2
    assert np.bincount(divided.splits).tolist() == [88, 87, production.sum()]
    kept = np.asarray(divided.split("production").faces_u8)
    np.testing.assert_array_equal(kept, faceset.faces_u8[np.flatnonzero(production)])
    again = begin(tmp_path / "t", study, data=folder.faceset_path, changes=changes)
    assert again.faceset_path == folder.faceset_path
