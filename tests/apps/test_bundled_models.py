"""Several bundled models: each is listed, and known by its name to every command."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import mien as package
from mien import weights
from mien.classifier import Classifier
from mien.export import int8
from mien.export.int8 import export_int8
from mien.export.onnx import export
from mien.training.run_folder import RunFolder
from mien.weights import DEFAULT_MODEL, bundled_models

Mien = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def bundled_folder(tiny_run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled models, and the tiny run beside them with 32 bits and with 8."""
    folder = tmp_path_factory.mktemp("package") / "bundled"
    shutil.copytree(weights.BUNDLED, folder)
    export(tiny_run, folder / "tiny.onnx")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(int8, "MOST_LOST", 0.1)  # one face more or less is 2.9 points of 35
        export_int8(str(tiny_run.path), folder / "tiny-int8.onnx")
    return folder


@pytest.fixture(autouse=True)
def bundled(bundled_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(weights, "BUNDLED", bundled_folder)
    return bundled_folder


def test_all_are_listed_with_size_and_score_and_the_default_is_named(mien: Mien, bundled: Path) -> None:
    code, out, _ = mien("models", "--json")
    listed = json.loads(out)
    assert (code, listed["default"]) == (0, DEFAULT_MODEL)
    assert {DEFAULT_MODEL, "tiny", "tiny-int8"} <= set(listed["bundled"])
    for name, about in listed["bundled"].items():
        assert about["file_bytes"] == (bundled / f"{name}.onnx").stat().st_size
        assert about["score"]["accuracy"] == Classifier(name).card.score.accuracy
    assert listed["bundled"]["tiny"]["parameters"] == listed["bundled"]["tiny-int8"]["parameters"]
    code, out, _ = mien("models")
    assert (code, f"`mien read` uses {DEFAULT_MODEL} unless" in out) == (0, True)
    first_words = [line.split()[1] for line in out.splitlines() if line.startswith("│ ")]
    assert first_words.index("tiny") < first_words.index("tiny-int8") < first_words.index(DEFAULT_MODEL)


def test_one_is_shown_by_its_name(mien: Mien) -> None:
    code, out, _ = mien("models", "tiny-int8")
    assert (code, out.startswith("tiny-int8: angry"), " MB\n" in out) == (0, True, True)


def test_the_default_is_what_is_used_where_none_is_named(astronaut: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert DEFAULT_MODEL in bundled_models()
    assert Classifier().path == bundled_models()[DEFAULT_MODEL]
    monkeypatch.setattr(weights, "DEFAULT_MODEL", "tiny")
    (by_default,) = package.read(astronaut)
    (by_name,) = package.read(astronaut, model="tiny")
    assert by_default.probabilities == by_name.probabilities


@pytest.mark.parametrize("model", ["tiny", "tiny-int8"])
def test_photos_and_clips_are_read_by_its_name(mien: Mien, model: str, astronaut: Path, clip: Path) -> None:
    assert f"model {model} · detector haar" in mien("read", astronaut, "--model", model)[2]
    code, _, err = mien("watch", "--camera", clip, "--model", model)
    assert code == 0, err


def test_models_are_judged_by_their_names(mien: Mien, faceset_folder: Path) -> None:
    code, out, _ = mien("evaluate", "tiny", "tiny-int8", "--data", faceset_folder, "--no-timing", "--json")
    assert code == 0
    assert [one["evaluation"]["model"] for one in json.loads(out)["models"]] == ["tiny", "tiny-int8"]


def test_one_is_exported_with_8_bits_by_its_name(
    mien: Mien, bundled: Path, faceset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "MOST_LOST", 0.1)
    out = tmp_path / "x.onnx"
    code, said, _ = mien("export", "tiny", "--out", out, "--int8", "--data", faceset_folder)
    assert (code, "of the 35 faces of PublicTest, with 32 bits on" in said) == (0, True)
    assert Classifier(out).card == Classifier("tiny-int8").card
    assert out.stat().st_size == (bundled / "tiny-int8.onnx").stat().st_size


def test_what_is_onnx_already_is_not_exported_again(mien: Mien, tmp_path: Path) -> None:
    code, _, err = mien("export", "tiny", "--out", tmp_path / "x.onnx")
    assert (code, "tiny is an ONNX file already" in err, list(tmp_path.iterdir())) == (2, True, [])
