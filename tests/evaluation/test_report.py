"""The report: what it says, that it needs nothing else, and how it looks in a real browser."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from mien.classifier import Classifier
from mien.data.faceset import FaceSet
from mien.errors import OutputError
from mien.evaluation.comparison import Interval
from mien.evaluation.evaluate import Judged, evaluate
from mien.evaluation.report.drawing import Drawing
from mien.evaluation.report.figures import draw_all
from mien.evaluation.report.gallery import FACES_A_ROW, choose_faces
from mien.evaluation.report.page import NBSP, large, points, render
from mien.evaluation.report.write import check_folder, write_report
from mien.evaluation.results import Results, read_results
from mien.evaluation.stress import CONDITIONS
from mien.files import sha256
from mien.training.run_folder import RunFolder
from mien.weights import DEFAULT_MODEL, bundled_models
from tests.conftest import ROOT


class _Page(HTMLParser):
    """What a page says, without its figures, and what it refers to."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.references: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self._inside = 0  # of style and svg
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside += tag in ("style", "svg")
        self._note(attrs)
        if tag not in ("meta", "br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self._inside -= tag in ("style", "svg")
        assert self.open.pop() == tag, "each tag is closed in its turn"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(attrs)

    def _note(self, attrs: list[tuple[str, str | None]]) -> None:
        self.references += [value for name, value in attrs if name in ("src", "href", "xlink:href") and value]
        self.ids += [value for name, value in attrs if name == "id" and value]

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.words += data.split()

    @property
    def text(self) -> str:
        return " ".join(self.words)


@pytest.fixture(scope="module")
def judged(tiny_run: RunFolder, faceset: FaceSet, tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """The tiny run and the bundled model on drawn faces of named people, under stress too."""
    folder = tmp_path_factory.mktemp("named") / "named.faceset"
    people = np.where(np.arange(len(faceset)) % 2, "<b>Ada</b>", "Béla & co")
    replace(faceset, attributes={"person": people}).save(folder)
    return evaluate([str(tiny_run.path), "mien-s"], data=folder, split="PublicTest", timed=False, stressed=True)


@pytest.fixture(scope="module")
def report(judged: Judged, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its report."""
    folder = tmp_path_factory.mktemp("reported") / "report"
    write_report(judged, folder, gallery=True)
    return folder


def _alone(judged: Judged) -> Results:
    return replace(judged.results, models=judged.results.models[:1], costs=judged.results.costs[:1], comparisons=())


def test_the_folder_holds_three_files_that_agree(judged: Judged, report: Path) -> None:
    assert read_results(report / "evaluation.json") == judged.results
    table = pq.read_table(report / "predictions.parquet").to_pydict()
    assert len(table["face"]) == 2 * 35
    for one in judged.results.models:
        rows = [k for k, model in enumerate(table["model"]) if model == one.evaluation.model]
        right = [table["called"][k] == table["label"][k] for k in rows]
        assert sum(right) / len(right) == pytest.approx(one.evaluation.accuracy)
        assert [table["face"][k] for k in rows] == list(range(35))
        names = [f"probability_{name}" for name in judged.faces.label_names]
        assert sum(table[name][rows[3]] for name in names) == pytest.approx(1, abs=1e-5)


def test_the_page_needs_nothing_but_itself(report: Path) -> None:
    html = (report / "report.html").read_text()
    page = _Page(html)
    assert page.open == [], "each tag is closed"
    assert page.references, "pictures and glyphs"
    assert all(reference.startswith(("data:image/png;base64,", "#")) for reference in page.references)
    assert len(page.ids) == len(set(page.ids)), "figures share no id"
    assert {reference[1:] for reference in page.references if reference[0] == "#"} <= set(page.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", html)) <= set(page.ids)
    assert "<script" not in html
    assert not re.findall(r"(?:src|href)=\"https?:|@import|url\((?!#)", html)


def test_names_are_shown_not_run(judged: Judged, report: Path) -> None:
    html = (report / "report.html").read_text()
    assert "<b>Ada</b>" not in html
    assert "<b>Ada</b>" in _Page(html).text, "as its letters"
    wicked = '<script>alert("x")</script>'
    one = judged.results.models[0]
    renamed = replace(_alone(judged), models=(replace(one, evaluation=replace(one.evaluation, model=wicked)),))
    assert "<script" not in render(renamed, [])


def test_the_verdict_comes_first(judged: Judged) -> None:
    one = judged.results.models[0].evaluation
    page = _Page(render(_alone(judged), []))
    start = page.text[: page.text.index("By class")]
    assert f"tiny-001 is right on {100 * one.accuracy:.1f} % ± {100 * one.standard_error:.1f}" in start
    for words in ("of 35 faces of drawn PublicTest", "expected calibration error", "the rest is “unsure”", "macro F1"):
        assert words in start


@pytest.mark.parametrize(("gain", "said"), [(0.0134, "+1.3"), (-0.0134, "−1.3"), (-0.0001, "+0.0")])
def test_a_difference_of_nothing_has_no_minus(gain: float, said: str) -> None:
    assert points(gain) == said


def test_a_large_number_has_three_digits() -> None:
    assert [large(value) for value in (999.4, 999_400, 999_600, 2_090_240)] == [
        "999",
        f"999{NBSP}k",
        f"1{NBSP}M",
        f"2.09{NBSP}M",
    ]


def test_every_figure_says_its_n(report: Path) -> None:
    html = (report / "report.html").read_text()
    figures = re.findall(r"<figure>.*?</figure>", html, flags=re.DOTALL)
    assert (
        len(figures) == 2 * 4 + 1 + 2 + 2 + 1 + 1
    )  # by model; Pareto; confidence; learning curves; distribution; stress
    for figure in figures:
        caption = re.search(r"<figcaption>(.*?)</figcaption>", figure, flags=re.DOTALL)
        assert caption is not None
        assert re.search(r"n(&nbsp;|\s)=", caption[1])


def test_a_collapsed_model_is_an_alarm(judged: Judged) -> None:
    one = judged.results.models[0]
    collapsed = replace(one, evaluation=replace(one.evaluation, collapsed="happy"))
    text = render(replace(_alone(judged), models=(collapsed,)), [])
    assert '<p class="alarm" role="alert"><strong>tiny-001 has collapsed:</strong>' in text
    assert "“happy”" in text
    assert 'class="alarm"' not in render(_alone(judged), [])


def test_the_gallery_shows_the_surest(judged: Judged) -> None:
    probabilities = judged.probabilities["mien-s"]
    called, sure = probabilities.argmax(1), probabilities.max(1)
    for k, row in enumerate(choose_faces(probabilities, judged.faces)):
        for shown, right in ((row.right, True), (row.mistakes, False)):
            rows = [r for r in range(35) if judged.faces.labels[r] == k and (called[r] == k) == right]
            expected = sorted(rows, key=lambda r: -sure[r])[:FACES_A_ROW]
            assert [face.number for face in shown] == expected
            assert [face.probability for face in shown] == pytest.approx([float(sure[r]) for r in expected])


def test_a_report_without_gallery_shows_no_face(judged: Judged, tmp_path: Path) -> None:
    write_report(judged, tmp_path / "bare", gallery=False)
    html = (tmp_path / "bare" / "report.html").read_text()
    assert 'alt="Face' not in html
    assert html.count("<img") == 1 + len(CONDITIONS), "the sample that shows what the conditions do, and no other"


def test_what_the_conditions_do_and_cost_is_shown(judged: Judged) -> None:
    page = _Page(render(judged.results, []))
    for under in judged.results.models[1].stress:
        assert page.text.count(under.score.name) >= 2, "beneath its sample and in the table"
        gain = f"{100 * under.gain.value:+.1f} {100 * under.gain.low:+.1f} to {100 * under.gain.high:+.1f}"
        assert gain.replace("-", "−") in page.text
    one = judged.results.models[1]
    for values, said in (
        ((-0.02, -0.05, 0.01), f"mien-s is hurt most by {one.stress[1].score.name} (<b>−5.0</b> points)"),
        ((0.0, 0.0, 0.02), "No condition costs mien-s anything"),
    ):
        stress = zip(one.stress, [*values, *[0.02] * (len(one.stress) - len(values))], strict=True)
        changed = tuple(replace(under, gain=Interval(value, value - 0.01, value + 0.01)) for under, value in stress)
        models = (judged.results.models[0], replace(one, stress=changed))
        assert said in render(replace(judged.results, models=models), [])
    calm = replace(judged.results, models=tuple(replace(one, stress=()) for one in judged.results.models))
    assert "How steady" not in render(calm, [])


def test_a_place_that_cannot_hold_a_report_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="it is a file; give the name of a folder"):
        check_folder(tmp_path / "file")
    with pytest.raises(OutputError, match="does not exist; create it first"):
        check_folder(tmp_path / "no" / "report")
    check_folder(tmp_path)
    check_folder(tmp_path / "new")


@pytest.mark.parametrize(
    ("width", "scheme", "media", "paper_is_light"),
    [
        (1100, "light", "screen", True),
        (1100, "dark", "screen", False),
        (390, "dark", "screen", False),
        (794, "dark", "print", True),
    ],
)
def test_a_browser_shows_it_whole(
    browser: "object", report: Path, tmp_path: Path, width: int, scheme: str, media: str, paper_is_light: bool
) -> None:
    """No error, nothing wider than the window, letters that stand out from their ground, in each scheme."""
    page = browser.new_page(viewport={"width": width, "height": 900})  # type: ignore[attr-defined]
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: problems.append(request.url) if request.url.startswith("http") else None)
    page.emulate_media(color_scheme=scheme, media=media)
    page.goto((report / "report.html").as_uri())
    assert problems == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    drawn = page.evaluate(
        "[...document.querySelectorAll('figure > svg')].map(svg => svg.getBoundingClientRect().width)"
    )
    assert len(drawn) == 2 + 1 + 2 + 2 + 1 + 1
    assert min(drawn) > 250
    colours = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor,"
        " getComputedStyle(document.querySelector('figure > svg text')).fill,"
        " getComputedStyle(document.querySelector('figcaption')).color]"
    )
    paper, letters, caption = (_luminance(colour) for colour in colours)
    assert (paper > 0.5) == paper_is_light
    for ink in (letters, caption):
        assert (max(paper, ink) + 0.05) / (min(paper, ink) + 0.05) >= 4.5, "WCAG 2.2, 1.4.3"
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    assert (tmp_path / "page.png").stat().st_size > 20_000


def test_the_committed_report_fits_the_narrowest_phones(browser: "object") -> None:
    """320 px is the least that WCAG 2.2, 1.4.10, asks for; tables that are wider scroll by themselves."""
    page = browser.new_page(viewport={"width": 320, "height": 600})  # type: ignore[attr-defined]
    page.goto((COMMITTED / "report.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    lines = page.evaluate(
        "[...document.querySelectorAll('.tiles dd')].map(tile => { const range = document.createRange();"
        " range.selectNode(tile.firstChild); return range.getClientRects().length })"
    )
    assert set(lines) == {1}, "no number is broken in two"


def _luminance(colour: str) -> float:
    """Return the relative luminance of rgb(r, g, b), as WCAG defines it."""
    shares = [int(value) / 255 for value in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


COMMITTED = ROOT / "results" / DEFAULT_MODEL


def test_the_committed_report_says_what_its_evaluation_says() -> None:
    results = read_results(COMMITTED / "evaluation.json")
    html = (COMMITTED / "report.html").read_text()
    assert _Page(html).words == _Page(render(results, [])).words
    assert 'alt="Face' not in html, "no face of a dataset is committed"
    one = results.models[0].evaluation
    assert f"{100 * one.accuracy:.1f} % ± {100 * one.standard_error:.1f}" in _Page(html).text
    assert results.costs[0].timings == (), "nothing was timed on a machine that others used"


def test_the_committed_evaluation_is_of_the_bundled_model() -> None:
    """Its card was written by the training itself; tests/test_classifier.py measures it again where the faces are."""
    one = read_results(COMMITTED / "evaluation.json").models[0]
    card = Classifier().card
    assert one.sha256 == sha256(bundled_models()[DEFAULT_MODEL]), "the model changed: see the README beside its report"
    assert (one.evaluation.split, one.evaluation.n) == (card.score.split, card.score.n)
    assert one.evaluation.accuracy == pytest.approx(card.score.accuracy, abs=2 / card.score.n)
    for scores, recall in zip(one.evaluation.classes, card.score.recall, strict=True):
        assert scores.recall == pytest.approx(recall, abs=2 / scores.support)
    assert card.calibration is not None
    error = one.evaluation.confidence.expected_calibration_error
    assert error == pytest.approx(card.calibration.ece_after, abs=0.002)


def test_the_caption_speaks_of_a_dotted_line_only_where_there_is_one(judged: Judged) -> None:
    """The tiny net is the cheaper one, and here the better one; then the dearer one is better still."""

    def cost_figure(results: Results) -> Drawing:
        return next(drawing for drawing in draw_all(results).shared if drawing.title == "Accuracy and cost")

    one = cost_figure(judged.results)
    assert "no model here is cheaper or more accurate than tiny-001" in one.caption
    first, second = judged.results.models
    swapped = (
        replace(first, evaluation=replace(first.evaluation, accuracy=0.5)),
        replace(second, evaluation=replace(second.evaluation, accuracy=0.6)),
    )
    two = cost_figure(replace(judged.results, models=swapped))
    assert "along the dotted line no other model" in two.caption
    for drawing in (one, two):
        assert ("dotted" in drawing.caption) == ("stroke-dasharray" in drawing.svg)
