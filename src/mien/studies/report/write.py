"""Write a study's report: report.html, report.md, study.json and the learning curves."""

from pathlib import Path

from mien.files import written_beside
from mien.studies.compared import SCALED, Report
from mien.studies.report.figures import draw_curves, write_curves
from mien.studies.report.markdown import render_markdown
from mien.studies.report.page import render


def write_study_report(report: Report, out: Path) -> None:
    """Write the report into a folder, which is made if need be; files of an earlier report are replaced.

    Args:
        report: What to show.
        out: Where; its parent is there.

    Raises:
        OutputError: The folder cannot be written.
    """
    out.mkdir(exist_ok=True)
    drawings, pictures = [], []
    for number, figure in enumerate(report.curves, 1):
        title = figure.title
        if report.scale != 1:
            title += f" ({SCALED} {report.scale:g} of the epochs)"
        drawings += draw_curves(title, figure.runs)
        name = f"learning-curves-{number}.png"
        write_curves(title, figure.runs, out / name)
        pictures.append((title, name))
    for name, text in (
        ("report.html", render(report, drawings)),
        ("report.md", render_markdown(report, pictures)),
        ("study.json", report.to_json()),
    ):
        with written_beside(out / name) as beside:
            beside.write_text(text, encoding="utf-8")
