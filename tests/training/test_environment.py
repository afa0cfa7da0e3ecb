import subprocess
from pathlib import Path

import pytest
import torch

from mien.training.environment import git_commit, moved
from mien.training.run_folder import RunFolder


def _git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)


def _package(folder: Path) -> Path:
    package = folder / "src" / "mien"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "models" / "nets.py").touch()
    return package


def test_the_commit_says_when_any_file_of_the_package_has_changed(tmp_path: Path) -> None:
    package = _package(tmp_path)
    _git(tmp_path, "init", "--quiet")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "--quiet", "-m", "first")
    clean = git_commit(package)
    assert len(clean) == 40
    (tmp_path / "notes.txt").touch()
    assert git_commit(package) == clean, "a file outside the package does not matter"
    (package / "models" / "nets.py").write_text("changed")
    assert git_commit(package) == clean + "+"


def test_a_package_installed_inside_somebody_elses_repository_has_no_commit(tmp_path: Path) -> None:
    _git(tmp_path, "init", "--quiet")
    (tmp_path / "their.py").touch()
    _git(tmp_path, "add", "their.py")
    _git(tmp_path, "commit", "--quiet", "-m", "theirs")
    assert git_commit(_package(tmp_path)) == "unknown"


def test_a_run_hears_what_is_not_as_it_began(tiny_run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    began = tiny_run.environment()
    monkeypatch.setattr("mien.training.environment.git_commit", lambda: began["commit"])
    monkeypatch.setattr(torch, "get_num_threads", lambda: began["threads"])
    assert moved(began) == ""
    now = began["threads"] + 1
    monkeypatch.setattr(torch, "get_num_threads", lambda: now)
    assert moved(began).endswith(f"may differ: threads {began['threads']}, now {now}.")
