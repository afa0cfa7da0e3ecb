"""What is handed to users: the wheel, `make demo`, the benchmark scripts."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image

from mien.weights import DEFAULT_MODEL
from tests.conftest import ROOT


def test_the_wheel_holds_model_recipes_and_types_and_is_small(tmp_path: Path) -> None:
    build = [
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run([sys.executable, *build], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.stat().st_size < 25_000_000
    package = ROOT / "src"
    files = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
    wanted = {name for name in files if "__pycache__" not in name}
    assert {f"mien/bundled/{DEFAULT_MODEL}.onnx", "mien/recipes/mien-s.yaml", "mien/py.typed"} <= wanted
    assert wanted <= set(zipfile.ZipFile(wheel).namelist())


def test_the_demo_writes_what_it_says(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "demo.py")], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "happy" in done.stdout
    assert pq.read_metadata(tmp_path / "demo" / "photo.parquet").num_rows == 1
    assert pq.read_metadata(tmp_path / "demo" / "clip.parquet").num_rows == 60
    with Image.open(tmp_path / "demo" / "photo.jpg") as drawn:
        assert drawn.size == (512, 512)
    assert (tmp_path / "demo" / "clip.mp4").stat().st_size > 10_000


def test_make_lists_its_targets() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert all(f"make {target}" in done.stdout for target in ("demo", "test", "check"))


def test_the_first_use_benchmark_prints_its_table() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "first_use.py")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"mien read photo\W+\d+\.\d+\W+\d+\.\d+", done.stdout)
