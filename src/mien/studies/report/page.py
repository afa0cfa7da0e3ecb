"""Report -> report.html: one page that needs no other file, for a phone, a screen in light or dark, and paper."""

from collections.abc import Sequence
from importlib.metadata import version

from markupsafe import Markup

from mien.card import LIMITS
from mien.evaluation.report.drawing import Drawing
from mien.evaluation.report.page import NBSP, page_environment
from mien.studies.compared import SCALED, ComparedTable, Report
from mien.studies.report import words
from mien.studies.study import Column
from mien.words import counted

HOW_TO_READ = (
    "Differences of shares have the 95 % interval of two shares of independent faces (Newcombe; of a class, with as "
    "many faces as the paper prints, else our share of its faces), those of macro F1 our bootstrap interval, as wide "
    "as if the paper's value had an error like ours; bold where it leaves out zero. Another seed and the paper's "
    "rounding are not in it."
)


def render(report: Report, drawings: Sequence[Drawing]) -> str:
    """Return the page."""
    return (
        page_environment("mien.studies.report", "mien.evaluation.report")
        .get_template("study.html.j2")
        .render(
            report=report,
            drawings=drawings,
            verdict=words.verdict(report),
            changed=words.changed(report),
            scaled=words.scaled_runs(report),
            collapsed=words.collapsed(report),
            unfinished=words.unfinished(report),
            ours=words.ours,
            difference=words.difference,
            interval=words.interval,
            seeds=words.seeds,
            mark=SCALED,
            mark_of=words.mark_of,
            how_to_read=HOW_TO_READ,
            how_claims_are_tested=words.how_claims_are_tested(report),
            width=width,
            first_measured=first_measured,
            missing_of=missing_of,
            behind=behind,
            limits=LIMITS,
            version=version("mien"),
            svg=Markup,
        )
    )


def width(column: Column) -> int:
    """Return how many columns one of the paper's becomes: printed, ours, difference."""
    return 1 if column.measure is None else 2 + column.compare


def first_measured(table: ComparedTable) -> int:
    """Return the number of the accuracy's column, or of the first that we have values for."""
    measured = [k for k, column in enumerate(table.columns) if column.measure is not None]
    return next((k for k in measured if table.columns[k].measure == "accuracy"), measured[0] if measured else -1)


def missing_of(table: ComparedTable) -> list[str]:
    """Return why values of a table are missing, each reason once, without the point at its end."""
    reasons = (cell.missing.rstrip(".") for row in table.rows for cell in row.cells if cell.missing)
    return list(dict.fromkeys(reasons))


def behind(table: ComparedTable) -> str:
    """Return how many faces are behind our values, by column where they differ: "n = 3,589", "n = 56 to 895"."""
    counts = {
        column.name: sorted(row.cells[k].n for row in table.rows if row.cells[k].n)
        for k, column in enumerate(table.columns)
        if column.measure not in (None, "support", "seconds", "train_accuracy", "train_loss")
    }
    said = {name: f"n{NBSP}={NBSP}{_span(n[0], n[-1])}" for name, n in counts.items() if n}
    if len(set(said.values())) == 1:
        return next(iter(said.values()))
    return ", ".join(f"{name} {n}" for name, n in said.items())


def _span(least: int, most: int) -> str:
    return counted(most, "face") if least == most else f"{least:,} to {counted(most, 'face')}"
