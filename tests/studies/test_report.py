"""The paper's table beside ours: the numbers, what is marked, what is missing, and how the page looks in a browser."""

import csv
import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from matplotlib.figure import Figure

from mien.data.faceset import FaceSet, open_faceset
from mien.evaluation.comparison import compare, newcombe
from mien.evaluation.evaluate import evaluate
from mien.evaluation.metrics import score
from mien.evaluation.report.drawing import SIZE_IN, dash_of
from mien.studies import compare as study_compare
from mien.studies.compare import make_report, value_of
from mien.studies.compared import Cell, ComparedRow, ComparedTable, Curve, Report
from mien.studies.engine import LocalEngine
from mien.studies.folder import StudyFolder, begin
from mien.studies.job import Outcome
from mien.studies.report import words
from mien.studies.report.figures import draw_curves, write_curves
from mien.studies.report.markdown import render_markdown
from mien.studies.report.page import render
from mien.studies.report.write import write_study_report
from mien.studies.run import run_study
from mien.studies.study import Column, Study
from mien.training.run_folder import RunFolder

CLASSES = [
    {"name": name, "of": name, "printed": ["0.50", "0.50", "0.50", 5]} for name in ("angry", "macro", "weighted")
]
ROUGHLY = {"name": "disgust", "of": "disgust", "printed": ["0.50", "0.50", "0.50", "about 5"]}
BY_CLASS = {
    "title": "Table 2",
    "header": ["Class"],
    "columns": [
        {"name": "Precision", "measure": "precision", "run": "fast"},
        {"name": "Recall", "measure": "recall", "run": "fast", "n": 35},
        {"name": "F1", "measure": "f1", "run": "fast", "n": 35},
        {"name": "Support", "measure": "support", "run": "fast", "compare": False},
    ],
    "rows": [*CLASSES, ROUGHLY, {"name": "Accuracy", "of": "accuracy", "printed": [None, None, "0.50", 35]}],
}


@pytest.fixture(scope="module")
def report(done: StudyFolder) -> Report:
    """The report of the small study."""
    return make_report(done)


@pytest.fixture(scope="module")
def written(done: StudyFolder, report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, written."""
    folder = tmp_path_factory.mktemp("reported") / "report"
    write_study_report(report, folder)
    return folder


def _text(html: str) -> str:
    words_: list[str] = []

    class Page(HTMLParser):
        inside = 0

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.inside += tag in ("style", "svg")

        def handle_endtag(self, tag: str) -> None:
            self.inside -= tag in ("style", "svg")

        def handle_data(self, data: str) -> None:
            if not self.inside:
                words_.extend(data.split())

    Page().feed(html)
    return " ".join(words_)


def test_newcombes_own_example() -> None:
    """Newcombe 1998, Table II, contrast (a), method 10: 56/70 less 48/80."""
    assert newcombe(56 / 70, 70, 48 / 80, 80) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert newcombe(0, 10, 0, 20) == pytest.approx((-0.1611, 0.2775), abs=5e-5), "contrast (g)"


def test_ours_is_what_evaluate_says(done: StudyFolder, report: Report) -> None:
    for row, run in zip(report.tables[0].rows, ("slow", "fast-after-2", "fast"), strict=True):
        path = done.path / "runs" / run
        one = evaluate([str(path)], data=done.faceset_path, split="PublicTest").results.models[0].evaluation
        (cell,) = row.cells
        assert (cell.ours, cell.n) == (pytest.approx(one.accuracy), 35)
        assert cell.error == pytest.approx(one.standard_error)
        assert cell.difference == pytest.approx(one.accuracy - float((cell.printed or "")[:-1]) / 100)
        assert (cell.low, cell.high) == pytest.approx(newcombe(one.accuracy, 35, one.accuracy - cell.difference, 100))


def test_there_is_a_sentence_for_each_cell_that_differs(report: Report) -> None:
    table = report.tables[0]
    differing = [row.name[0] for row in table.rows if row.cells[0].differs]
    assert "slow" in differing, "a slow run does not reach 50 % in four epochs"
    assert len(table.sentences) == len(differing)
    for name, sentence in zip(differing, table.sentences, strict=True):
        assert re.fullmatch(
            rf"model {name}, Test: ours is \d+\.\d points (above|below) the printed \d+(\.\d)?% "
            r"\(95 % interval \d+\.\d to \d+\.\d\)\.",
            sentence,
        )
    assert words.verdict(report).startswith(f"{3 - len(differing)} of 3 printed values agree")


def test_what_the_paper_says_in_words_is_tested_on_the_same_faces(done: StudyFolder, report: Report) -> None:
    (claim,) = report.claims
    logits = {run: RunFolder(done.path / "runs" / run).predictions() for run in ("slow", "fast")}
    right = {run: values[0].argmax(1) == values[1] for run, values in logits.items()}
    assert claim.test is not None
    assert (claim.test.seeds, claim.test.n) == (1, 35)
    assert claim.test.accuracy_gain.value == pytest.approx(right["fast"].mean() - right["slow"].mean())
    (pair,) = compare({run: values[0].argmax(1) for run, values in logits.items()}, logits["fast"][1], classes=7)
    assert (claim.test.accuracy_gain, claim.test.p_value) == (pair.accuracy_gain, pytest.approx(pair.p_value))


def test_a_table_of_classes_is_that_of_the_run(
    done: StudyFolder, make_study: Callable[..., Study], faceset_folder: Path, tmp_path: Path
) -> None:
    folder = begin(tmp_path / "s", make_study(tables=[BY_CLASS]), data=faceset_folder)
    shutil.copytree(done.path / "runs" / "fast", folder.path / "runs" / "fast")
    (table,) = make_report(folder).tables
    run = done.path / "runs" / "fast"
    one = evaluate([str(run)], data=faceset_folder, split="PublicTest").results.models[0]
    cells = {row.name[0]: row.cells for row in table.rows}
    angry = one.evaluation.classes[0]
    expected = (angry.precision, angry.recall, angry.f1, angry.support)
    assert [cell.ours for cell in cells["angry"]] == pytest.approx(expected)
    assert [cell.ours for cell in cells["macro"]][:3] == pytest.approx(
        [one.evaluation.macro.precision, one.evaluation.macro.recall, one.evaluation.macro.f1]
    )
    assert cells["Accuracy"][2].ours == pytest.approx(one.evaluation.accuracy)
    assert [cell.ours for cell in cells["Accuracy"]][:2] == [None, None], "a row of accuracy has no precision"
    macro = one.evaluation.macro.f1
    assert cells["macro"][2].low == pytest.approx(macro - 0.5 + 2**0.5 * (one.macro_f1.low - macro)), (
        "both have an error"
    )
    recall = cells["angry"][1]
    assert (recall.low, recall.high) == pytest.approx(newcombe(angry.recall, angry.support, 0.5, 5)), "of 5, as printed"
    assert cells["angry"][0].low is None, "of a precision the paper does not say how many faces were called so"
    assert cells["angry"][3].difference is None
    assert cells["disgust"][3].printed == "about 5"


def test_a_class_without_a_face_has_no_recall_and_none_has_an_accuracy() -> None:
    labels = np.array([0, 0, 1])
    found = score(np.eye(3)[labels], labels, ("a", "b", "c"), model="m", data="d", split="s", views=1)
    recall, support = Column(name="R", measure="recall"), Column(name="S", measure="support")
    asked = [value_of(SimpleNamespace(evaluation=found), recall, of) for of in ("a", "c")]
    assert asked == [1.0, None]
    assert value_of(SimpleNamespace(evaluation=found), support, "c") == 0
    accuracy = Column(name="A", measure="accuracy")
    assert [value_of(SimpleNamespace(evaluation=found), accuracy, of) for of in ("a", "macro")] == [None, 1.0]


def test_what_is_not_the_papers_is_said_and_scaled_numbers_are_marked_everywhere(
    make_study: Callable[..., Study], faceset_folder: Path, tmp_path: Path
) -> None:
    changes = ("batch_size=70", "label_smoothing=0.2")
    folder = begin(tmp_path / "s", make_study(), data=faceset_folder, scale=0.5, changes=changes)
    run_study(folder, engine=LocalEngine())
    report = make_report(folder)
    assert [row.cells[0].scaled for row in report.tables[0].rows] == [
        "2 of 4 epochs",
        "1 of 2 epochs",
        "2 of 4 epochs",
    ]
    write_study_report(report, tmp_path / "r")
    html, markdown = (tmp_path / "r" / "report.html").read_text(), (tmp_path / "r" / "report.md").read_text()
    collapsed = len(words.collapsed(report))
    for text, figures in ((_text(html), 2), (markdown, 1)):
        assert "In every recipe of this study: batch_size=70, label_smoothing=0.2. So these are not" in text
        assert "Every training was cut to 0.5 of the study's epochs." in text
        assert text.count("‡") == 1 + 1 + collapsed + 2 * 3 + 2 + figures + 3 * 2, (
            "what it means, the verdict, who collapsed, two a row, the claim and its p, figures, three a training"
        )
    assert "after 2 of 4 epochs" in report.tables[0].sentences[0]


def test_nothing_is_marked_that_was_not_scaled(written: Path) -> None:
    for name in ("report.html", "report.md"):
        text = (written / name).read_text()
        assert "‡" not in text
        assert "Changed." not in text


def test_what_is_missing_says_why(make_study: Callable[..., Study], faceset_folder: Path, tmp_path: Path) -> None:
    variants = {"slow": {"set": {"optimiser.lr": 1e30}}, "fast": {}}
    folder = begin(tmp_path / "s", make_study(variants=variants), data=faceset_folder)
    report = make_report(folder)
    assert [row.cells[0].missing for row in report.tables[0].rows] == ["not begun"] * 3
    assert words.verdict(report) == "No printed value could be compared yet; waiting for a training or a look: 3."
    assert report.claims[0].test is None
    write_study_report(report, tmp_path / "nothing-yet")
    assert "2 of 2 trainings not finished" in _text((tmp_path / "nothing-yet" / "report.html").read_text())
    run_study(folder, engine=LocalEngine())
    report = make_report(folder)
    slow, _, fast = (row.cells[0] for row in report.tables[0].rows)
    assert slow.missing.startswith("failed: The loss became")
    assert fast.missing == ""
    (sentence,) = words.unfinished(report)
    assert sentence.startswith("slow: failed: The loss became")


def test_a_collapsed_training_is_named(
    done: StudyFolder, make_study: Callable[..., Study], faceset_folder: Path, tmp_path: Path
) -> None:
    folder = begin(tmp_path / "s", make_study(), data=faceset_folder)
    for run in ("slow", "fast", "fast-after-2"):
        shutil.copytree(done.path / "runs" / run, folder.path / "runs" / run)
    run = RunFolder(folder.path / "runs" / "slow")
    logits, labels = run.predictions()
    logits[:, 3] += 100
    run.write_predictions(logits, labels, tuple(run.environment()["labels"]))
    report = make_report(folder)
    assert report.tables[0].rows[0].collapsed == "happy"
    assert words.collapsed(report) == ["slow has collapsed: it calls 35 of 35 faces of PublicTest “happy”."]
    html = render(report, [])
    assert "1 of 2 trainings collapsed" in _text(html)
    assert html.count('class="tag">collapsed') == 1


def test_several_seeds_are_one_number_with_a_spread(
    make_study: Callable[..., Study], faceset_folder: Path, tmp_path: Path
) -> None:
    folder = begin(tmp_path / "s", make_study(seeds=[0, 1]), data=faceset_folder)
    run_study(folder, engine=LocalEngine())
    runs = [RunFolder(folder.path / "runs" / f"fast-seed-{seed}") for seed in (0, 1)]
    accuracies = [run.card().score.accuracy for run in runs]
    cell = make_report(folder).tables[0].rows[2].cells[0]
    assert (cell.ours, cell.seeds) == (pytest.approx(np.mean(accuracies)), 2)
    assert cell.spread == pytest.approx(np.std(accuracies, ddof=1))
    (claim,) = make_report(folder).claims
    slow = [RunFolder(folder.path / "runs" / f"slow-seed-{seed}").card().score.accuracy for seed in (0, 1)]
    assert claim.test is not None
    assert claim.test.accuracy_gain.value == pytest.approx(np.mean(accuracies) - np.mean(slow))
    said = words.how_claims_are_tested(make_report(folder))
    assert "Points are means over 2 trainings of each" in said
    assert "how much other seeds would change is not in it" in said
    assert words.seeds(cell) == f"2 seeds, sd {100 * cell.spread:.1f}"
    shutil.rmtree(runs[1].path)
    report = make_report(folder)
    assert report.claims[0].test is None, "a seed is missing"
    assert report.tables[0].rows[2].cells[0].ours == pytest.approx(accuracies[0])
    assert "(1 of 2 seeds)" in render_markdown(report, [])
    assert "1 of 2 seeds" in _text(render(report, []))


def test_a_state_that_is_not_there_is_not_called_finished(done: StudyFolder, tmp_path: Path) -> None:
    later = tmp_path / "s"
    shutil.copytree(done.path, later)
    shutil.rmtree(later / "runs" / "fast-after-2")
    cell = make_report(StudyFolder(later)).tables[0].rows[1].cells[0]
    assert cell.missing == "its state after 2 epochs is not there; carry out the study again"


def test_a_run_without_its_metrics_leaves_the_others_numbers(done: StudyFolder, tmp_path: Path) -> None:
    later = tmp_path / "s"
    shutil.copytree(done.path, later)
    (later / "runs" / "slow" / "metrics.csv").unlink()
    slow, _, fast = (row.cells[0] for row in make_report(StudyFolder(later)).tables[0].rows)
    assert (slow.missing or "").endswith("metrics.csv is missing; carry out the study again")
    assert fast.ours is not None


def test_losses_and_seconds_are_those_of_the_run(done: StudyFolder, tmp_path: Path) -> None:
    later = tmp_path / "s"
    shutil.copytree(done.path, later)
    measures = ["train_accuracy", "train_loss", "seconds", "loss"]
    row = {"name": "slow", "run": "slow", "printed": ["50%", "1.0", "9", "1.0"]}
    columns = [{"name": measure, "measure": measure} for measure in measures]
    study = yaml.safe_load((later / "study.yaml").read_text())
    study |= {"tables": [{"title": "T", "columns": columns, "rows": [row]}]}
    (later / "study.yaml").write_text(yaml.safe_dump(study))
    run = RunFolder(done.path / "runs" / "slow")
    rows, (logits, labels) = run.metrics(), run.predictions()
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = [float(rows[-1]["train_accuracy"]), float(rows[-1]["train_loss"])]
    expected += [sum(float(one["seconds"]) for one in rows), -np.log(shares[np.arange(len(labels)), labels]).mean()]
    cells = make_report(StudyFolder(later)).tables[0].rows[0].cells
    assert [cell.ours for cell in cells] == pytest.approx(expected, rel=1e-4)


def test_where_no_class_is_named_recall_is_a_mean_over_classes(done: StudyFolder, tmp_path: Path) -> None:
    """So it has no error of a share of so many faces."""
    later = tmp_path / "s"
    shutil.copytree(done.path, later)
    columns = [{"name": "Recall", "measure": "recall", "n": 100}]
    table = {"title": "T", "columns": columns, "rows": [{"name": "fast", "run": "fast", "printed": "50%"}]}
    study = yaml.safe_load((later / "study.yaml").read_text()) | {"tables": [table]}
    (later / "study.yaml").write_text(yaml.safe_dump(study))
    cell = make_report(StudyFolder(later)).tables[0].rows[0].cells[0]
    assert cell.difference is not None
    assert (cell.error, cell.low) == (None, None)


ON_PRIVATE_TEST = {
    "title": "Table 3",
    "columns": [{"name": "Test", "measure": "accuracy", "split": "PrivateTest", "n": 35}],
    "rows": [{"name": "the best", "run": "best", "printed": "50%"}],
}


def test_private_test_is_looked_at_when_asked_for_once_and_logged(
    done: StudyFolder,
    make_study: Callable[..., Study],
    faceset_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    study = make_study(winners={"best": {"among": "*"}}, tables=[*_tables(make_study), ON_PRIVATE_TEST])
    folder = begin(tmp_path / "s", study, data=faceset_folder)

    def cell(*, look: bool) -> Cell:
        return make_report(folder, look_at_private_test=look).tables[1].rows[0].cells[0]

    shutil.copytree(done.path / "runs" / "slow", folder.path / "runs" / "slow")
    assert cell(look=True).missing == "chosen when all have finished; not yet: 1"
    for run in ("fast", "fast-after-2"):
        shutil.copytree(done.path / "runs" / run, folder.path / "runs" / run)
    assert cell(look=False).missing == "PrivateTest not looked at"
    assert not (tmp_path / "results").exists()

    accuracies = {
        run: RunFolder(folder.path / "runs" / run).card().score.accuracy for run in ("slow", "fast-after-2", "fast")
    }
    best = max(accuracies, key=lambda run: accuracies[run])
    seen = cell(look=True)
    with (tmp_path / "results" / "private_test_log.csv").open() as file:
        (look,) = csv.DictReader(file)
    assert look["model"] == best
    assert seen.ours == pytest.approx(float(look["accuracy"]), abs=1e-5)
    assert cell(look=True) == cell(look=False) == seen, "what was seen is kept"
    with (tmp_path / "results" / "private_test_log.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 1, "and not looked at again"
    with (folder.run_path(folder.trainings[0]).parent / best / "checkpoints" / "last.ckpt").open("ab") as file:
        file.write(b"other weights")
    assert cell(look=False).missing == "PrivateTest not looked at", "what is kept was of other weights"


def test_who_was_given_up_cannot_win_and_is_not_waited_for(
    done: StudyFolder, make_study: Callable[..., Study], faceset_folder: Path, tmp_path: Path
) -> None:
    study = make_study(winners={"best": {"among": "*"}})
    folder = begin(tmp_path / "s", study, data=faceset_folder)
    shutil.copytree(done.path / "runs" / "slow", folder.path / "runs" / "slow")
    assert make_report(folder).winners["best"] == "chosen when all have finished; not yet: 1"
    folder.jobs(1)[1].note_problem(Outcome.GIVEN_UP, "it lagged behind.")
    assert make_report(folder).winners["best"] == "slow after 4 epochs"
    assert Outcome.GIVEN_UP is folder.jobs(1)[1].problem


def test_a_winner_that_was_scaled_says_so(
    make_study: Callable[..., Study], faceset_folder: Path, tmp_path: Path
) -> None:
    variants = {"slow": {"set": {"optimiser.lr": 1e-9}}, "fast": {}}
    study = make_study(winners={"best": {"among": "slow"}}, variants=variants)
    folder = begin(tmp_path / "s", study, data=faceset_folder, scale=0.5)
    run_study(folder, engine=LocalEngine())
    assert make_report(folder).winners["best"] == "slow after 2 of 4 epochs ‡"


def test_a_broken_run_folder_leaves_the_others_numbers(
    done: StudyFolder, make_study: Callable[..., Study], faceset_folder: Path, tmp_path: Path
) -> None:
    folder = begin(tmp_path / "s", make_study(), data=faceset_folder)
    for run in ("slow", "fast", "fast-after-2"):
        shutil.copytree(done.path / "runs" / run, folder.path / "runs" / run)
    (folder.path / "runs" / "slow" / "predictions.parquet").write_text("junk")
    (folder.path / "runs" / "fast-after-2" / "metrics.csv").write_text("junk")
    (folder.path / "runs" / "slow" / "metrics.csv").write_text("junk\njunk\n")
    report = make_report(folder)
    slow, half, fast = (row.cells[0] for row in report.tables[0].rows)
    assert "metrics.csv is broken; copy it back" in slow.missing
    assert "metrics.csv is broken; copy it back" in half.missing
    assert fast.ours is not None
    write_study_report(report, tmp_path / "r")
    assert "metrics.csv is broken" in (tmp_path / "r" / "report.md").read_text()


def test_agreement_of_collapsed_trainings_is_no_success() -> None:
    column = Column(name="Test", measure="accuracy", n=100)
    agrees, differs = (
        Cell("25%", "percent", 0.25, low=-0.1, high=0.1),
        Cell("50%", "percent", 0.25, low=-0.4, high=-0.1),
    )
    rows = [("a", agrees, "happy"), ("b", differs, "happy"), ("c", agrees, None)]
    table = ComparedTable(
        "T", ("model",), (column,), tuple(ComparedRow((n,), (cell,), c) for n, cell, c in rows), None, ()
    )
    report = Report("s", "", "", (), "", "", (), 1.0, (), (table,), (), (), {}, ())
    assert words.verdict(report) == (
        "2 of 3 printed values agree with ours within chance (1 of them of collapsed trainings, there as here); "
        "not so: 1."
    )


def test_a_sentence_says_what_the_parts_of_a_rows_name_are() -> None:
    cell = Cell("0.401783227", "decimal", 0.25, difference=-0.152, low=-0.174, high=-0.131)
    row = ComparedRow(("50", "0.01", "2", "2"), (cell,), None)
    assert study_compare.sentence(("Epochs", "LR", "Conv2D", "FC"), row, Column(name="Accuracy"), cell) == (
        "Epochs 50, LR 0.01, Conv2D 2, FC 2, Accuracy: ours is 15.2 points below the printed 0.401783227 "
        "(95 % interval 13.1 to 17.4)."
    )


def test_the_top_says_which_faces_ours_are_of(report: Report, written: Path, faceset: FaceSet) -> None:
    """Two sets of one name differ in their hash."""
    html, markdown = (written / "report.html").read_text(), (written / "report.md").read_text()
    faces = f"drawn (FaceSet {faceset.sha256[:12]})"
    assert f"<title>small: the paper's tables beside ours, on {faces}</title>" in html
    for text in (_text(html), markdown):
        top, _, _ = text.partition("agree with ours")
        assert f"ur faces: {faces}: Training 140, PublicTest 35, PrivateTest 35" in top


def test_a_papers_values_stand_below_printed(written: Path) -> None:
    """A paper's own column may be called "reproduction", and what stands below it "paper"."""
    html = (written / "report.html").read_text()
    assert re.findall(r'<th scope="col"[^>]*>([^<]*)</th>', html)[1:4] == ["printed", "ours", "ours − printed"]
    assert "| model | Test: printed | ours | ours − printed |" in (written / "report.md").read_text()


CURVES = tuple(Curve(f"run-{k}", (1, 2, 3), (0.2, 0.3 + k / 100, 0.4), (0.25, 0.35, 0.5 + k / 100)) for k in range(24))


def _png(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, title: str, runs: Sequence[Curve]) -> Figure:
    """Write the PNG and return its figure, laid out."""
    drawn: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *args, **how: (drawn.append(self), save(self, *args, **how)))
    write_curves(title, runs, tmp_path / "curves.png")
    (figure,) = drawn
    return figure


@pytest.mark.parametrize("count", [4, 24])
def test_the_pictures_title_and_legend_are_whole_and_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    title = "Figures 1 and 2 of the paper, a title so long that it would not fit into one line (‡ 0.03 of the epochs)"
    figure = _png(tmp_path, monkeypatch, title, CURVES[:count])
    (axes,) = figure.axes
    (words_,) = figure.texts
    said, named = words_.get_window_extent(), axes.get_legend().get_window_extent()
    assert not said.overlaps(named)
    for box in (said, named, axes.yaxis.label.get_window_extent()):
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
    assert axes.get_ylabel() == "accuracy, validation faces"


def test_curves_are_drawn_for_a_phone_and_say_on_which_faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawings = draw_curves("Figures 1 and 2: learning curves", CURVES)
    for drawing, faces in zip(drawings, ("validation", "training"), strict=True):
        assert drawing.title == f"Figures 1 and 2: learning curves, on the {faces} faces"
        assert f">accuracy, {faces} faces<" in drawing.svg
        width, height = map(float, re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawing.svg)[0])
        assert (width, height) == pytest.approx((72 * SIZE_IN[0], 72 * SIZE_IN[1])), "letters shrink with a wider one"
        assert [entry.dash for entry in drawing.legend] == [dash_of(k) for k in range(24)]
    lines = _png(tmp_path, monkeypatch, "T", CURVES).axes[0].get_lines()
    styles = {"solid": "-", "dashed": "--", "dotted": ":", "dashdot": "-."}
    assert [line.get_linestyle() for line in lines] == [styles[dash_of(k)] for k in range(24)]
    assert [list(line.get_ydata()) for line in lines] == [list(run.validation_accuracy) for run in CURVES]


def test_the_learning_curves_are_in_the_json(done: StudyFolder, written: Path) -> None:
    (figure,) = json.loads((written / "study.json").read_text())["curves"]
    assert figure["title"] == "Learning curves"
    for run in figure["runs"]:
        rows = RunFolder(done.path / "runs" / run["name"]).metrics()
        assert run["epochs"] == [1, 2, 3, 4]
        for key in ("validation_accuracy", "train_accuracy"):
            assert run[key] == [float(row[key]) for row in rows]
    assert [run["name"] for run in figure["runs"]] == ["slow", "fast"]


def _tables(make_study: Callable[..., Study]) -> list[dict[str, object]]:
    return [table.model_dump(mode="json") for table in make_study().tables]


def test_other_faces_than_the_validation_faces_are_evaluated_too(
    done: StudyFolder, make_study: Callable[..., Study], faceset_folder: Path, tmp_path: Path
) -> None:
    columns = [{"name": split, "measure": "accuracy", "split": split} for split in ("Training", "production")]
    rows = [{"name": "fast", "run": "fast", "printed": ["50%", "50%"]}]
    tables = [{"title": "T", "columns": columns, "rows": rows}]
    folder = begin(tmp_path / "s", make_study(tables=tables), data=faceset_folder)
    shutil.copytree(done.path / "runs" / "fast", folder.path / "runs" / "fast")
    training, production = make_report(folder).tables[0].rows[0].cells
    assert training.n == len(open_faceset(faceset_folder).split("Training"))
    assert production.missing == "no split 'production' in the FaceSet"


def test_the_three_files_agree(report: Report, written: Path) -> None:
    assert sorted(file.name for file in written.iterdir()) == [
        "learning-curves-1.png",
        "report.html",
        "report.md",
        "study.json",
    ]
    found = json.loads((written / "study.json").read_text())
    assert found["tables"][0]["rows"][0]["cells"][0]["ours"] == report.tables[0].rows[0].cells[0].ours
    html, markdown = _text((written / "report.html").read_text()), (written / "report.md").read_text()
    for row in report.tables[0].rows:
        shown = words.ours(row.cells[0])
        assert shown in markdown
        assert " ".join(shown.split()) in html
        assert words.difference(row.cells[0]) in html
        assert words.interval(row.cells[0]) in markdown
    for sentence in (*report.tables[0].sentences, *report.protocol):
        assert sentence in html
        assert sentence in markdown


def test_names_are_shown_not_run(report: Report) -> None:
    wicked = '<script>alert("x")</script>'
    html = render(replace(report, about=wicked, protocol=(wicked,)), [])
    assert "<script" not in html
    assert _text(html).count(wicked) == 2


@pytest.mark.parametrize(("width", "scheme"), [(1100, "light"), (390, "dark")])
def test_a_browser_shows_it_whole(browser: object, written: Path, tmp_path: Path, width: int, scheme: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})  # type: ignore[attr-defined]
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: problems.append(request.url) if request.url.startswith("http") else None)
    page.emulate_media(color_scheme=scheme)
    page.goto((written / "report.html").as_uri())
    assert problems == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    drawn = page.evaluate(
        "[...document.querySelectorAll('figure > svg')].map(svg => svg.getBoundingClientRect().width)"
    )
    assert len(drawn) == 2
    assert min(drawn) > 250
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    assert (tmp_path / "page.png").stat().st_size > 20_000


def test_a_browser_keeps_the_rows_name_in_sight_and_numbers_below_their_heads(browser: object, written: Path) -> None:
    page = browser.new_page(viewport={"width": 300, "height": 900})  # type: ignore[attr-defined]
    page.goto((written / "report.html").as_uri())
    left = "document.querySelector('.beside tbody th').getBoundingClientRect().left"
    before = page.evaluate(left)
    page.evaluate("document.querySelector('.scroll').scrollLeft = 40")
    assert page.evaluate("document.querySelector('.scroll').scrollLeft") == 40
    assert page.evaluate(left) == before
    align = "[...document.querySelectorAll('.claims thead th')].map(head => getComputedStyle(head).textAlign)"
    assert page.evaluate(align) == ["left", "left", "right", "right"]
    page.set_viewport_size({"width": 1400, "height": 900})
    first, second = page.evaluate("[...document.querySelectorAll('figure')].map(f => f.getBoundingClientRect().top)")
    assert first == second, "side by side"


@pytest.mark.parametrize(
    ("style", "ours", "spread", "said"),
    [
        ("percent", 0.7, 0.0123, "3 seeds, sd 1.2"),
        ("decimal", 1.234, 0.05, "3 seeds, sd 0.050"),
        ("seconds", 1200, 12, "3 seeds, sd 12"),
        ("number", 4000, 1200, "3 seeds, sd 1,200"),
    ],
)
def test_the_spread_over_seeds_is_written_as_the_value_is(style: str, ours: float, spread: float, said: str) -> None:
    assert words.seeds(Cell(None, style, ours, seeds=3, of_seeds=3, spread=spread)) == said
