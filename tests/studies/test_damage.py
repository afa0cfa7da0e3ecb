"""A study some of whose files were cut off, or whose faces are others now: it is told, and the other numbers stand."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mien.errors import StudyError
from mien.studies.compare import make_report
from mien.studies.compared import Cell
from mien.studies.engine import LocalEngine
from mien.studies.folder import StudyFolder, begin
from mien.studies.job import Outcome
from mien.studies.report import words
from mien.studies.report.page import missing_of
from mien.studies.run import run_study
from mien.studies.study import Study
from tests.conftest import drawn_faceset

Mien = Callable[..., tuple[int, str, str]]


@pytest.fixture
def copied(done: StudyFolder, tmp_path: Path) -> StudyFolder:
    """The small study, carried out on faces of its own, to be damaged."""
    faces = shutil.copytree(done.faceset_path, tmp_path / "faces.faceset")
    copy = shutil.copytree(done.path, tmp_path / "s")
    settings = json.loads((copy / "settings.json").read_text())
    (copy / "settings.json").write_text(json.dumps(settings | {"data": str(faces)}))
    return StudyFolder(copy)


def _cut_off(path: Path) -> None:
    """Leave a file as a full disk or a broken copy does: without its end."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def _cells(folder: StudyFolder) -> list[Cell]:
    return [row.cells[0] for row in make_report(folder).tables[0].rows]


def test_no_report_is_made_on_other_faces_than_the_study_was_begun_with(copied: StudyFolder, mien: Mien) -> None:
    shutil.rmtree(copied.faceset_path)
    drawn_faceset(seed=1).save(copied.faceset_path)
    code, _, err = mien("study", "report", copied.path)
    assert code == 2
    assert f"{copied.faceset_path} holds other faces (FaceSet " in err
    assert f"than the study was begun with ({copied.settings.data_sha256[:12]}); put those back, or say where" in err
    assert err.count("\n") == 1


def test_no_report_is_made_on_other_faces_than_a_run_was_trained_on(copied: StudyFolder) -> None:
    environment = copied.path / "runs" / "fast-after-2" / "environment.json"
    environment.write_text(json.dumps(json.loads(environment.read_text()) | {"data_sha256": "0" * 64}))
    with pytest.raises(StudyError, match=r"than .*/runs/fast-after-2 was trained on \(000000000000\); put those back"):
        make_report(copied)


def test_no_report_is_made_on_faces_divided_otherwise_than_the_runs_had_them(copied: StudyFolder) -> None:
    drawn_faceset(seed=1).save(copied.path / "faces.faceset")
    with pytest.raises(StudyError, match=r"/runs/slow was trained on \([0-9a-f]{12}\); put those back\.$"):
        make_report(copied)


def test_faces_that_have_moved_are_named_as_the_sentence_says(copied: StudyFolder, mien: Mien, tmp_path: Path) -> None:
    before = _cells(copied)
    moved = copied.faceset_path.rename(tmp_path / "moved.faceset")
    code, _, err = mien("study", "report", copied.path)
    assert code == 2
    assert "faces.faceset is gone" in err
    (command,) = (line for line in [err.strip().partition(": mien ")[2]] if line.endswith("--data FACESET"))
    code, _, err = mien(*command.replace("FACESET", str(moved)).split())
    assert (code, "epoch" in err) == (0, False)
    assert _cells(StudyFolder(copied.path)) == before


def test_a_cut_off_row_of_metrics_is_one_runs_problem(copied: StudyFolder, mien: Mien) -> None:
    """Also where the last value alone is gone, and where it is a run that has not finished."""
    whole = _cells(copied)[2].ours
    for run in ("slow", "fast-after-2"):
        metrics = copied.path / "runs" / run / "metrics.csv"
        metrics.write_text(metrics.read_text().rstrip().rpartition(",")[0])
    slow, half, fast = _cells(copied)
    for cell in (slow, half):
        assert cell.missing.endswith("metrics.csv is broken; copy it back, or start a new run.")
    assert fast.ours == whole
    report = make_report(copied)
    assert [run.name for run in report.curves[0].runs] == ["fast"]
    (sentence,) = words.unfinished(report)
    assert sentence.startswith("slow: broken: ")
    assert sentence.endswith("start a new run.")
    assert not any(reason.endswith(".") for reason in missing_of(report.tables[0])), "the page puts it behind all"

    (copied.path / "runs" / "slow" / "predictions.parquet").unlink()
    code, out, _ = mien("study", "status", copied.path)
    assert code == 0
    assert "broken:" in out
    assert "4 of 4" in out


@pytest.mark.parametrize("file", ["predictions.parquet", "recipe.yaml", "environment.json"])
def test_a_broken_file_of_a_run_is_one_runs_problem(copied: StudyFolder, mien: Mien, file: str) -> None:
    whole = _cells(copied)
    broken = copied.path / "runs" / "slow" / file
    _cut_off(broken)
    if file == "recipe.yaml":
        broken.write_text("a: [")
    slow, *others = _cells(copied)
    assert file in slow.missing
    assert others == whole[1:]
    code, out, _ = mien("study", "status", copied.path)
    assert code == 0
    assert "4 of 4" in out
    assert out.count("finished") == (2 if file == "environment.json" else 1), "fast, at least"


@pytest.mark.parametrize("file", ["recipe.yaml", "metrics.csv"])
@pytest.mark.parametrize("budget_s", [None, 600.0])
def test_a_broken_run_is_noted_and_the_others_go_on(copied: StudyFolder, file: str, budget_s: float | None) -> None:
    for run in ("slow", "fast"):
        (copied.path / "runs" / run / "predictions.parquet").unlink()
    (copied.path / "runs" / "slow" / file).write_text("a: [")
    left = run_study(StudyFolder(copied.path), engine=LocalEngine(), budget_s=budget_s)
    assert [(job.name, job.problem) for job in left] == [("slow", Outcome.FAILED)]


def test_a_cut_off_note_of_a_problem_is_told(
    make_study: Callable[..., Study], faceset_folder: Path, tmp_path: Path, mien: Mien
) -> None:
    folder = begin(tmp_path / "s", make_study(), data=faceset_folder)
    job = folder.jobs(1)[0]
    job.note_problem(Outcome.GIVEN_UP, "it lagged behind.")
    _cut_off(job.problem_path)
    assert job.problem is Outcome.FAILED, "nobody knows better"
    state = folder.state(folder.trainings[0])
    assert state.startswith("failed: why is not known, since ")
    assert state.endswith("problems/slow.json is broken; carry out the study again.")
    assert mien("study", "status", folder.path)[0] == 0
    assert mien("study", "report", folder.path)[0] == 0


def test_a_broken_look_is_to_be_deleted(copied: StudyFolder) -> None:
    columns = [{"name": "Learnt", "measure": "accuracy", "split": "Training", "n": 100}]
    rows = [{"name": run, "run": run, "printed": "50%"} for run in ("slow", "fast")]
    study = copied.study.model_dump(mode="json") | {"tables": [{"title": "T", "columns": columns, "rows": rows}]}
    folder = StudyFolder(copied.path, (Study.model_validate(study), copied.settings))
    whole = _cells(folder)
    assert all(cell.ours is not None for cell in whole)
    look = copied.path / "looks" / "slow-on-Training.json"
    _cut_off(look)
    slow, fast = _cells(folder)
    assert slow.missing == f"{look} is broken; delete it, and the next report looks again."
    assert fast == whole[1]
    look.unlink()
    assert np.isclose(_cells(folder)[0].ours or 0, whole[0].ours or 0)
