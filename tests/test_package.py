"""What the package promises as a whole: importing does nothing, the base install is light, files are written whole."""

import os
import pickle
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import mien
from mien.errors import MissingExtraError, OutputError
from mien.files import written_beside
from tests.conftest import CLIP_TIMES_MS, ROOT

HEAVY = ("torch", "lightning", "onnxruntime", "cv2", "av", "pyarrow", "matplotlib", "sklearn", "pydantic", "pandas")


def _modules_after(code: str) -> set[str]:
    command = [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_importing_mien_loads_nothing_heavy() -> None:
    assert not {name for name in HEAVY if name in _modules_after("import mien")}


def test_reading_never_loads_the_training_rooms() -> None:
    loaded = _modules_after("import mien.reading.reader, mien.classifier, mien.reading.sinks.tables")
    assert not loaded & {"torch", "lightning", "matplotlib", "pandas", "sklearn", "yaml", "pydantic"}


def test_reading_runs_where_the_extras_are_missing(astronaut: Path, clip: Path, tmp_path: Path) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    modules = {"pyyaml": "yaml", "scikit-image": "skimage", "scikit-learn": "sklearn", "dlib-bin": "dlib"}
    names = [re.split(r"[\[<>=]", line)[0] for key in ("tables", "train", "cluster", "dlib") for line in extras[key]]
    hidden = [modules.get(name, name) for name in names if name not in ("mien", "pydantic")]  # typer brings the latter
    assert {"torch", "filelock", "scipy", "ray", "pyarrow"} <= set(hidden)
    for command in (
        ["read", str(astronaut), "--json"],
        ["read", str(clip), "--out", "x.csv", "--annotate", "x.mp4", "--crops", "crops"],
        ["watch", "--camera", str(clip), "--snap-when", "any happy for 0s", "--out", "photos"],
    ):
        code = f"import sys; sys.modules.update(dict.fromkeys({hidden!r})); sys.argv = ['mien', *{command!r}];"
        code += "from mien.apps.cli.main import main; main()"
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "happy" in done.stdout or "--out" in command
    assert len((tmp_path / "x.csv").read_text().splitlines()) == 1 + len(CLIP_TIMES_MS)
    assert (tmp_path / "x.mp4").stat().st_size > 1000
    assert len(list((tmp_path / "crops").iterdir())) == len(CLIP_TIMES_MS) - 1, "one is blank"
    assert (tmp_path / "photos" / "snap-001.jpg").is_file()


def test_training_without_its_extra_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['mien', 'train', '--list'];"
        "from mien.apps.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install -c constraints.txt '.[train]'" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (["read", "PHOTO", "--out", "x.parquet"], "tables"),
        (["data", "describe", "x.faceset"], "train"),
        (["data", "formats"], "train"),
    ],
)
def test_without_pyarrow_one_sentence_says_what_to_install(
    command: list[str], extra: str, astronaut: Path, tmp_path: Path
) -> None:
    words = ["mien", *(str(astronaut) if word == "PHOTO" else word for word in command)]
    code = f"import sys; sys.modules['pyarrow'] = None; sys.argv = {words!r};"
    code += "from mien.apps.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, list(tmp_path.iterdir())) == (2, "", [])
    assert f"pip install -c constraints.txt '.[{extra}]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_is_not_installed_is_said_also_from_another_process() -> None:
    error = pickle.loads(pickle.dumps(MissingExtraError("dlib", "dlib")))
    assert str(error) == "This needs `dlib`, which is not installed; install it, in mien's folder, with: " + (
        "pip install -c constraints.txt '.[dlib]'"
    )


def test_every_public_name_is_there() -> None:
    for name in mien.__all__:
        assert getattr(mien, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = mien.nonsense


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), written_beside(path) as beside:
        beside.write_text("half")
        raise RuntimeError
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["out.csv"]
    assert path.read_text() == "old"
    (tmp_path / f".out.{os.getpid()}.part.csv").mkdir()  # of a killed process that had the same number
    with written_beside(path) as beside:
        beside.write_text("new")
    assert path.read_text() == "new"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist; create it first"), written_beside(tmp_path / "no" / "x"):
        pass
    with pytest.raises(BrokenPipeError), written_beside(tmp_path / "x"):  # of another file: of `mien … | head`
        raise BrokenPipeError
    with pytest.raises(OutputError, match="it is a folder"), written_beside(tmp_path):
        pass
