"""The benchmark scripts that a table of the README or a decision rests on, run as a user runs them, but briefly."""

import json
import re
import runpy
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mien.data.faceset import open_faceset
from mien.data.split import divide
from mien.evaluation.evaluate import evaluate
from mien.evaluation.private_log import COLUMNS
from mien.export import int8
from mien.training.recipe_files import load_recipe
from mien.weights import bundled_models
from tests.conftest import ROOT, TINY

PEER_YAML = """
model: {model}
input: {{size: 44, colour: grey, mean: [0.5], std: [0.25], layout: nchw}}
labels: [anger, disgust, fear, happiness, sadness, surprise, neutral]
outputs: logits
"""
# What stands in for the real package: as much of its class as peer.py uses; sure of what it says first.
FER = """
import numpy as np
class FER:
    def _get_labels(self):
        return dict(enumerate(["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]))
    def _classify_emotions(self, faces):
        assert faces.shape[1:] == (64, 64) and faces.dtype == np.float32 and -1 <= faces.min() <= faces.max() <= 1
        return np.eye(7)[[3] * len(faces)]
"""


def run(script: str, *arguments: object, cwd: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(ROOT / "benchmarks" / script), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def fake_fer(envs: Path, source: str) -> None:
    """Write an environment in which `fer` is `source`."""
    package = envs / "fer" / "lib" / "fer"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "fer.py").write_text(source)
    (package / "data" / "emotion_model_quantized.tflite").write_bytes(b"weights" * 1000)
    (envs / "fer" / "installed.txt").write_text("fer, as it were\n")
    python = envs / "fer" / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{package.parent}" exec "{sys.executable}" "$@"\n')
    python.chmod(python.stat().st_mode | stat.S_IEXEC)


def row(table: str, name: str) -> list[str]:
    (line,) = [line for line in table.splitlines() if line.startswith(f"│ {name} ")]
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_latency_puts_models_side_by_side(tmp_path: Path) -> None:
    model = bundled_models()["mien-s"]
    (tmp_path / "peer.yaml").write_text(PEER_YAML.format(model=model))
    (tmp_path / "copy.onnx").write_bytes(model.read_bytes())
    done = run("latency.py", "mien-s", "copy.onnx", "peer.yaml", "--rounds", "1", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["models"]
    assert [one["model"] for one in rows] == ["mien-s", "copy", "peer"]
    assert (rows[0]["face_ratio"], rows[0]["network_ratio"]) == (1, 1)
    for one in rows:
        assert one["file_bytes"] == model.stat().st_size
        assert one["network_ms"] > 0
        assert one["face_ratio"] == pytest.approx(one["face_ms"] / rows[0]["face_ms"]), "of one round"
    assert "× mien-s" in run("latency.py", "mien-s", "--rounds", "1", cwd=tmp_path).stdout


@pytest.mark.parametrize(("target", "reached"), [(0.01, "yes"), (1.01, "no")])
def test_a_speedrun_ends_at_its_target_or_says_how_far_it_came(
    faceset_folder: Path, tmp_path: Path, target: float, reached: str
) -> None:
    epochs = 5000 if reached == "yes" else 3
    settings = [word for key in ("network=mien-tiny", f"epochs={epochs}", "batch_size=32") for word in ("--set", key)]
    ended = run("speedrun.py", faceset_folder, "--target", target, "--runs", 1, *settings, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    row = next(re.split(r" *│ *", line.strip("│ ")) for line in ended.stdout.splitlines() if line.startswith("│"))
    assert row[:2] == ["0", reached]
    assert (int(row[2]) == epochs) == (reached == "no")
    assert float(row[5]) > 0, "CPU minutes"


@pytest.mark.parametrize("script", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.name)
def test_every_script_finds_what_it_imports(script: Path) -> None:
    runpy.run_path(str(script), run_name="imported")


def test_the_settings_that_quantisation_turns_are_there() -> None:
    settings = runpy.run_path(str(ROOT / "benchmarks" / "quantisation.py"), run_name="imported")["SETTINGS"]
    assert all(hasattr(int8, name) for name in ["SEED", *(name for _, changes in settings for name in changes)])


def test_a_wrong_model_is_one_sentence(faceset_folder: Path, tmp_path: Path) -> None:
    for script, arguments in (
        ("latency.py", ["mien-z"]),
        ("peers.py", [faceset_folder, "--models", "mien-z"]),
    ):
        done = run(script, *arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert "There is no model 'mien-z'; did you mean mien-s" in done.stderr


def test_peers_are_judged_like_everything_else(faceset_folder: Path, tmp_path: Path) -> None:
    fake_fer(tmp_path / "envs", FER)
    done = run("peers.py", faceset_folder, "--envs", "envs", "--rounds", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = evaluate(["mien-s"], data=faceset_folder, split="PublicTest").results.models[0].evaluation
    ours, fer = row(done.stdout, "mien-s"), row(done.stdout, "fer 25.10.3")
    assert ours[1] == f"{100 * found.accuracy:.1f} ± {100 * found.standard_error:.1f} %"
    assert ours[2] == f"{100 * found.macro.f1:.1f}"
    assert ours[7] == "not measured", "this environment is not mien's alone"
    assert fer[1] == "14.3 ± 5.9 %", "five of 35, whatever they show"
    assert fer[7] == "0 MB"
    assert float(row(done.stdout, "HOG + linear SVM")[1].split()[0]) > 80, "bars at an angle are what HOG sees"
    assert row(done.stdout, "deepface")[1] == "not available here"
    assert re.search(
        r"mien-s beside fer 25\.10\.3: [+-]\d+\.\d points, install not measured, cold start 1/", done.stdout
    )
    assert "environment fer: fer, as it were" in done.stdout
    assert not (tmp_path / "results").exists(), "PublicTest is looked at freely"


def test_a_peer_that_fails_does_not_stop_the_others(faceset_folder: Path, tmp_path: Path) -> None:
    fake_fer(tmp_path / "envs", "import no_such_module")
    done = run("peers.py", faceset_folder, "--envs", "envs", "--rounds", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert row(done.stdout, "mien-s")[1].endswith("%")
    assert "could not be run: ModuleNotFoundError: No module named" in done.stdout


def test_looking_at_privatetest_takes_a_word_and_is_logged(faceset_folder: Path, tmp_path: Path) -> None:
    done = run("peers.py", faceset_folder, "--split", "PrivateTest", cwd=tmp_path)
    assert (done.returncode, done.stdout, list(tmp_path.iterdir())) == (2, "", [])
    assert "say --i-know: each look is logged" in done.stderr
    divide(open_faceset(faceset_folder), {"a": 0.5, "b": 0.5}, only="PrivateTest").save(tmp_path / "part.faceset")
    done = run("peers.py", tmp_path / "part.faceset", "--split", "a", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, ""), "a part of it is no better"
    done = run("peers.py", faceset_folder, "--split", "PrivateTest", "--i-know", "--rounds", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    header, *looks = (tmp_path / "results" / "private_test_log.csv").read_text().splitlines()
    assert header == ",".join(COLUMNS)
    assert [look.split(",")[1] for look in looks] == [*bundled_models(), "HOG + linear SVM"]
    assert row(done.stdout, "fer 25.10.3")[1] == "not available here"


def test_the_training_benchmark_measures_three_ways(faceset_folder: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(load_recipe("mien-s", TINY).to_yaml())
    done = run("training.py", faceset_folder, recipe, "--rounds", 1, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    row = next(line for line in done.stdout.splitlines() if "tiny" in line and "│" in line)
    mien, usual, times_usual, ceiling = (float(cell.replace(",", "")) for cell in row.split("│")[2:6])
    assert min(mien, usual, ceiling) > 0
    assert times_usual > 0
