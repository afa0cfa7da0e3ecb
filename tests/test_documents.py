"""Every command and every line of Python in the README and the docs is run, in order, as it stands there."""

import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from mien import weights
from mien.files import sha256
from tests.conftest import ROOT, fer2013_rows, write_votes

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _with_code() -> list[Path]:
    return [path for path in DOCUMENTS if BLOCK.search(path.read_text())]


@pytest.mark.parametrize("document", _with_code(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_command_in_a_document_works(
    document: Path,
    mien: Callable[..., tuple[int, str, str]],
    astronaut: Path,
    clip: Path,
    served: tuple[Path, str],
    write_fer2013: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.open(astronaut).convert("RGB").save("photo.jpg")
    Path("photos").mkdir()
    shutil.copy("photo.jpg", "photos/one.jpg")
    shutil.copy(clip, "visit.mp4")
    write_fer2013()
    write_votes(tmp_path / "fer2013new.csv", [usage for _, _, usage in fer2013_rows()])
    _serve_yunet(served, monkeypatch)
    for language, code in BLOCK.findall(document.read_text()):
        if language == "python":
            exec(compile(code, str(document), "exec"), {})
            continue
        commands = [line[2:] for line in code.replace("\\\n", "").splitlines() if line.startswith("$ ")]
        assert commands, f"a console block without a command: {code}"
        for command in commands:
            words = shlex.split(command, comments=True)
            if words[0] == "mien":
                code_, _, err = mien(*words[1:])
                assert code_ == 0, f"{command}: {err}"
            else:
                assert words[0] in ("make", "pip", "git"), f"{command} is not run by any test"


def _serve_yunet(served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `mien weights fetch yunet` fetch from this machine. The file is any file: reading goes on with Haar."""
    folder, address = served
    (folder / "yunet.onnx").write_bytes(b"weights")
    local = replace(weights.PINNED["yunet"], url=f"{address}/yunet.onnx", sha256=sha256(folder / "yunet.onnx"))
    monkeypatch.setitem(weights.PINNED, "yunet", local)


def test_every_local_link_leads_somewhere() -> None:
    for document in [*DOCUMENTS, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]:
        for target in re.findall(r"\]\(([^)#:]+)\)|<img src=\"([^\":]+)\"", document.read_text()):
            path = next(filter(None, target))
            assert (document.parent / path).exists(), f"{document.name} links to {path}"
