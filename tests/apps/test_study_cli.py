"""`mien study` as a user meets it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mien.studies import estimate
from tests.small_study import BASE, STUDY

Mien = Callable[..., tuple[int, str, str]]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The small study as a file in the folder one works in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(estimate, "MEASURE_S", 0.5)
    Path("tiny.yaml").write_text(BASE)
    Path("small.yaml").write_text(f"base: tiny.yaml\n{STUDY}")
    return "small.yaml"


def test_list_names_every_study(mien: Mien) -> None:
    code, out, _ = mien("study", "list")
    assert code == 0
    for name, trainings in (("alizadeh", 4), ("barbagallo", 8), ("holman", 3), ("jawade", 4), ("maes-lange", 24)):
        assert f"│ {name:<10} │ {trainings:<9} │" in out


def test_a_study_from_dry_run_to_report(mien: Mien, study: str, faceset_folder: Path) -> None:
    code, out, _ = mien("study", "run", study, "--data", faceset_folder, "--dry-run")
    assert code == 0
    assert "2 of 2 trainings to be done (0 finished): about" in out
    assert not Path("studies").exists(), "nothing was begun"

    code, out, err = mien("study", "run", study, "--data", faceset_folder)
    assert code == 0
    assert err.count("epoch 4 of 4") == 2
    assert "fast: finished" in err
    assert "Next: mien study report studies/small" in out
    code, out, err = mien("study", "run", "studies/small")
    assert code == 0
    assert "epoch" not in err, "what has finished is skipped"
    code, out, _ = mien("study", "run", "studies/small", "--dry-run")
    assert "0 of 2 trainings to be done (2 finished)" in out
    before = Path("studies/small/study.yaml").read_bytes()
    third = "  fast: {}\n  faster: {set: {optimiser.lr: 0.1}}\n"
    Path("edited.yaml").write_text(Path(study).read_text().replace("  fast: {}\n", third))
    code, out, _ = mien("study", "run", "edited.yaml", "--data", faceset_folder, "--dry-run")
    assert "1 of 3 trainings to be done (2 finished)" in out
    assert Path("studies/small/study.yaml").read_bytes() == before

    code, out, _ = mien("study", "status")
    assert code == 0
    assert "studies/small: small" in out
    assert out.count("4 of 4") == out.count("finished") == 2

    Path("studies/another").mkdir()
    for name in ("study.yaml", "settings.json"):
        Path("studies/another", name).write_text("{")
    code, out, err = mien("study", "status")
    assert code == 2
    assert "studies/another/study.yaml is missing or broken" in err
    assert out.count("4 of 4") == 2, "one that is broken hides no other"

    code, said, _ = mien("study", "report", "studies/small", "--out", "shown")
    assert code == 0
    assert "of 3 printed values agree with ours within chance" in said
    found = json.loads(Path("shown", "study.json").read_text())
    assert found["name"] == "small"
    for trained in found["trainings"]:
        (row,) = [line for line in out.splitlines() if line.startswith(f"│ {trained['name']} ")]
        assert f" {100 * trained['scored']['evaluation']['accuracy']:.1f} % " in row


def test_a_scaled_study_has_a_folder_of_its_own_and_a_warning(mien: Mien, study: str, faceset_folder: Path) -> None:
    code, out, _ = mien("study", "run", study, "--data", faceset_folder, "--epochs-scale", "0.25")
    assert code == 0
    assert "studies/small-scaled-0.25: small, 0.25 of the epochs" in out
    _, _, err = mien("study", "report", "studies/small-scaled-0.25")
    assert "Every training was cut to 0.25 of the study's epochs" in err


def test_a_failed_training_is_exit_code_1_and_one_left_for_time_is_not(
    mien: Mien, study: str, faceset_folder: Path
) -> None:
    data = ("--data", faceset_folder, "--threads", "1")
    code, out, err = mien("study", "run", study, *data, "--set", "optimiser.momentum=0.5", "--budget", "0s")
    assert code == 0
    assert "2 trainings left; go on with: mien study run studies/small" in err
    assert out.count("not begun") == 2
    Path("small.yaml").write_text(Path("small.yaml").read_text().replace("optimiser.lr: 0.01", "optimiser.lr: 1.0e+30"))
    code, out, err = mien("study", "run", study, *data, "--out", "other")
    assert code == 1
    assert "slow: failed" in err
    assert "fast: finished" in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "small.yaml"], "Study small needs faces: --data FACESET"),
        (["run", "smal"], "no study 'smal'"),
        (["run", "small.yaml", "--data", "x", "--stop-hopeless"], "--stop-hopeless means something on a cluster only"),
        (["run", "small.yaml", "--data", "x", "--budget", "soon"], "--budget soon is no duration; write"),
        (["run", "small.yaml", "--data", "x", "--epochs-scale", "2"], "--epochs-scale is above 0 and at most 1"),
        (["status"], "There is no study below studies/"),
        (["status", "."], "is not a study's folder"),
        (["report", "nowhere"], "is not a study's folder"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(mien: Mien, study: str, arguments: list[str], sentence: str) -> None:
    code, _, err = mien("study", *arguments)
    assert code == 2
    assert sentence in err
    assert err.count("\n") == 1
    assert not Path("studies").exists()
