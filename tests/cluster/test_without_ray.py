"""What is said where Ray is missing, or asked for what it cannot do; and that nothing else needs it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Mien = Callable[..., tuple[int, str, str]]
HIDE_RAY = "import sys; sys.modules['ray'] = None; "


def test_a_missing_ray_names_what_installs_it(faceset_folder: Path, astronaut: Path, tmp_path: Path) -> None:
    study = ["study", "run", "barbagallo", "--data", str(faceset_folder), "--engine", "ray"]
    for arguments in (study, ["read", str(astronaut), "--engine", "ray", "--out", "x.parquet"]):
        code = f"{HIDE_RAY} sys.argv = {['mien', *arguments]!r}; from mien.apps.cli.main import main; main()"
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 2
        assert "pip install -c constraints.txt '.[cluster]'" in done.stderr
        assert not list(tmp_path.iterdir()), "nothing was begun"


@pytest.mark.parametrize("module", ["mien.apps.cli.main", "mien.reading.reader", "mien.studies.run"])
def test_nothing_else_imports_ray(module: str) -> None:
    code = f"import {module}, sys; print('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--engine", "spark"], "no engine 'spark'; choose local or ray"),
        (["--address", "auto"], "--address means something on a cluster only; add --engine ray"),
        (["--engine", "ray"], "say --out NAME.parquet"),
        (["--engine", "ray", "--out", "x.csv"], "say --out NAME.parquet"),
        (["--engine", "ray", "--out", "x.parquet", "--json"], "leave out --json"),
    ],
)
def test_what_a_cluster_cannot_do_is_a_sentence(
    mien: Mien, astronaut: Path, arguments: list[str], sentence: str
) -> None:
    code, _, err = mien("read", astronaut, *arguments)
    assert code == 2
    assert sentence in err
