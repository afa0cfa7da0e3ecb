"""Every command and every line of Python in the README and the docs is run, in order, as it stands there.

What takes hours or a second machine stands in a block of its own kind (`sh`): of that, names and options are checked.
"""

import csv
import json
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from PIL import Image

from mien import weights
from mien.apps.cli.main import app
from mien.classifier import Classifier
from mien.export import int8
from mien.files import sha256
from mien.labels import EXPRESSIONS
from mien.models import registry
from mien.models.registry import networks
from mien.reading import detectors
from mien.studies import estimate
from tests.conftest import ROOT, SHARED, drawn_faces, fer2013_rows, write_votes

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)

YAML = re.compile(
    r"^```yaml\n(?:# (\S+\.yaml)\n)?(.*?)^```", re.MULTILINE | re.DOTALL
)  # the first line may name a file


FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


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
    _write_faces()
    shutil.copy(weights.bundled_models()["mien-s"], "peer.onnx")  # as if somebody else had made it
    for name, content in YAML.findall(document.read_text()):
        Path(name or "peer.yaml").write_text(content)
    _serve_yunet(served, monkeypatch)
    tiny = replace(networks()["mien-s"], build=networks()["mien-tiny"].build)  # so that sixty epochs take seconds
    monkeypatch.setitem(registry._ENTRIES, "mien-s", tiny)
    monkeypatch.setattr(estimate, "MEASURE_S", 1.0)  # a study's trainings are estimated, but not for long
    monkeypatch.setattr(int8, "MOST_LOST", 1.0)  # of a dozen drawn faces, one is eight points
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


def _write_faces() -> None:
    """Write class folders, and a table of four videos' frames."""
    lines = ["path,label,split,group,light"]
    for number, face in enumerate(drawn_faces([3, 4] * 8)):
        label = EXPRESSIONS[3 + number % 2]
        path = Path("faces", "train", label, f"{number}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(face).save(path)
        lines.append(f"{path},{label},train,video{number // 4},dim")
    Path("own.csv").write_text("\n".join(lines) + "\n")


def _serve_yunet(served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `mien weights fetch yunet` fetch from this machine; without the real file, reading goes on with Haar."""
    folder, address = served
    real = SHARED / "models" / weights.PINNED["yunet"].filename
    (folder / "yunet.onnx").write_bytes(real.read_bytes() if real.is_file() else b"weights")
    local = replace(weights.PINNED["yunet"], url=f"{address}/yunet.onnx", sha256=sha256(folder / "yunet.onnx"))
    monkeypatch.setitem(weights.PINNED, "yunet", local)
    if not real.is_file():
        monkeypatch.setitem(detectors.DETECTORS, "yunet", detectors.DETECTORS["haar"])


def test_no_command_stands_where_it_is_not_looked_at() -> None:
    for document in [*DOCUMENTS, ROOT / "CONTRIBUTING.md"]:
        for language, code in FENCE.findall(document.read_text()):
            is_command = re.search(r"^(\$ )?(mien|pip|make|python) ", code, re.MULTILINE)
            assert language in ("console", "python", "sh", "yaml") or not is_command, f"{document.name}: {code}"


@pytest.mark.parametrize(
    "line",
    [
        line
        for document in DOCUMENTS
        for language, code in FENCE.findall(document.read_text())
        if language == "sh"
        for line in code.splitlines()
    ],
)
def test_a_command_for_which_a_test_has_no_time_is_spelled_right(line: str) -> None:
    program, *words = shlex.split(line, comments=True)
    assert program == "mien"
    command, context = typer.main.get_command(app), None
    while isinstance(command, typer.core.TyperGroup):
        context = command.make_context("mien", [], parent=context, resilient_parsing=True)
        known = command.get_command(context, words[0])
        assert known is not None, f"{line}: there is no command {words[0]}"
        command, words = known, words[1:]
    command.make_context("mien", words, parent=context)  # raises what a user would be told


def test_every_local_link_leads_somewhere() -> None:
    for document in [*DOCUMENTS, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]:
        for target in re.findall(r"\]\(([^)#:]+)\)|<img src=\"([^\":]+)\"", document.read_text()):
            path = next(filter(None, target))
            assert (document.parent / path).exists(), f"{document.name} links to {path}"
        for path, heading in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", document.read_text()):
            page = document.parent / path if path else document
            headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-") for words in headings}
            assert heading in anchors, f"{document.name} links to {path}#{heading}"


def test_every_result_that_has_a_page_is_linked_from_a_document() -> None:
    links = {
        (document.parent / target).resolve()
        for document in DOCUMENTS
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text())
    }
    for page in (ROOT / "results").rglob("README.md"):
        assert {page, page.parent} & links, f"nothing leads to {page.relative_to(ROOT)}"


@pytest.mark.parametrize("name", ["mien-xs", "mien-s", "mien-m-int8", "mien-m"])
def test_the_readmes_accuracy_is_the_cards_and_the_logs(name: str) -> None:
    """The numbers in the table are those that were measured on the very files that ship."""
    readme = (ROOT / "README.md").read_text().replace("**", "")
    model = Classifier(name)
    with (ROOT / "results" / "private_test_log.csv").open() as file:
        looks = [row for row in csv.DictReader(file) if row["model_sha256"] == sha256(model.path)]
    assert looks, "a model that ships was never measured on PrivateTest"
    (evaluation,) = json.loads((ROOT / "results" / name / "evaluation.json").read_text())["models"]
    assert evaluation["sha256"] == sha256(model.path)
    public = evaluation["evaluation"]
    cells = [
        f"{100 * float(on['accuracy']):.1f} % ± {100 * float(on['standard_error']):.1f} | {float(f1):.3f}"
        for on, f1 in ((looks[-1], looks[-1]["macro_f1"]), (public, public["macro"]["f1"]))
    ]
    (row,) = re.findall(rf"^\| `{name}`.*% ± .*$", readme, re.MULTILINE)
    assert row.endswith(" | ".join(["", *cells, ""]).rstrip())


@pytest.mark.parametrize("name", ["mien-xs", "mien-s", "mien-m-int8", "mien-m"])
def test_what_the_readme_says_of_worse_pictures_is_what_the_report_says(name: str) -> None:
    evaluation = json.loads((ROOT / "results" / name / "evaluation.json").read_text())
    stress = evaluation["models"][0]["stress"]
    readme = (ROOT / "README.md").read_text()
    assert f"| points less under | {' | '.join(one['score']['name'] for one in stress)} |\n" in readme
    lost = [f"{-100 * one['gain']['value']:.1f}" for one in stress]
    assert f"| `{name}` | {' | '.join(lost)} |\n" in readme


def test_what_the_readme_says_of_the_default_is_what_its_card_and_report_say() -> None:
    calibration = Classifier().card.calibration
    assert calibration is not None
    (judged,) = json.loads((ROOT / "results" / weights.DEFAULT_MODEL / "evaluation.json").read_text())["models"]
    twins = judged["subsets"][0]
    readme = " ".join((ROOT / "README.md").read_text().split())
    for said in (
        f"where it was fitted: {100 * calibration.ece_after:.1f} % ({100 * calibration.ece_before:.1f} before fitting",
        f"“Unsure” below {100 * calibration.unsure_below:.1f} %".replace("“", '"').replace("”", '"'),
        f"{100 * twins['accuracy']:.1f} % ± {100 * twins['standard_error']:.1f} (n = {twins['n']:,}; the default)",
    ):
        assert said in readme, said


@pytest.mark.parametrize("name", ["mien-xs", "mien-s", "mien-m-int8", "mien-m"])
def test_the_readmes_sizes_are_those_of_the_files(name: str) -> None:
    model = Classifier(name)
    parameters = model.card.parameters
    said = f"{parameters / 1e6:.1f} million" if parameters >= 1e6 else f"{parameters / 1e3:.0f} thousand"
    row = re.search(rf"^\| `{name}`[^|]*\| ([^|]*) \|.*% ± .*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert row is not None
    assert row[1] == f"{said}, {model.path.stat().st_size / 1e6:.1f} MB"


def test_the_readmes_scores_by_class_are_those_of_the_look_at_private_test() -> None:
    (judged,) = json.loads((ROOT / "results" / weights.DEFAULT_MODEL / "private_test.json").read_text())["models"]
    readme = (ROOT / "README.md").read_text()
    assert judged["sha256"] == sha256(Classifier().path)
    for measure in ("recall", "precision"):
        values = [f"{100 * scores[measure]:.1f} %" for scores in judged["evaluation"]["classes"]]
        assert f"| {measure} | {' | '.join(values)} |\n" in readme
