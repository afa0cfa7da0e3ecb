"""What a run was made with: written to environment.json, so that a number can be traced to its cause."""

import platform
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from mien.data.faceset import FaceSet
from mien.training.recipe import Recipe

PACKAGE = Path(__file__).parents[1]  # src/mien
PACKAGES = ("mien", "torch", "lightning", "numpy", "pyarrow", "onnx", "onnxruntime")


def describe_environment(recipe: Recipe, faces: FaceSet, faceset_folder: Path, *, precision: str) -> dict[str, Any]:
    """Return versions, processor, threads, commit, hashes and seed as plain values."""
    return {
        "data": faces.name,
        "data_sha256": faces.sha256,
        "data_companions_sha256": faces.companions_sha256,
        "data_folder": str(faceset_folder.resolve()),
        "labels": list(faces.label_names),
        "vote_names": list(faces.vote_names),
        "recipe_sha256": recipe.sha256(),
        "seed": recipe.seed,
        "precision": precision,
        "commit": git_commit(),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def moved(began: Mapping[str, Any]) -> str:
    """Return what is not as it was when a run began, as a sentence; "" if it can end with the same weights.

    Args:
        began: Its environment, as `describe_environment` returned it.
    """
    was = {name: began[name] for name in ("commit", "processor", "threads")} | {"torch": began["packages"]["torch"]}
    now = {
        "commit": git_commit(),
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "torch": version("torch"),
    }
    changes = [f"{name} {was[name]}, now {now[name]}" for name in was if was[name] != now[name]]
    if not changes:
        return ""
    return f"Not as it began, so the last bits of the weights may differ: {'; '.join(changes)}."


def git_commit(package: Path = PACKAGE) -> str:
    """Return the commit of the code that runs, with "+" if a file of the package has changed since.

    Args:
        package: The package's folder. Installed anywhere but in a checkout of its own, it gives "unknown".
    """
    try:
        _git(package, "ls-files", "--error-unmatch", "__init__.py")  # fails where the folder only lies in a repository
        commit = _git(package, "rev-parse", "HEAD")
        return commit + ("+" if _git(package, "status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def processor() -> str:
    """Return what the machine calls its processor."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@cache
def native_bf16() -> bool:
    """Return whether this processor has instructions for bf16; without them bf16 is slower than fp32."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        return False
    flags = next((line.split() for line in cpuinfo.read_text().splitlines() if line.startswith("flags")), [])
    return "avx512_bf16" in flags or "amx_bf16" in flags
