"""Cells as words, the same ones on the page and in Markdown."""

from mien.evaluation.report.page import NBSP, points
from mien.studies.compared import SCALED, Cell, Report, Trained
from mien.words import counted


def ours(cell: Cell) -> str:
    """Return our value with its standard error, and the mark if it was scaled: "63.1 % ± 0.8 ‡"."""
    if cell.missing:
        return "–"
    if cell.ours is None:
        return ""
    match cell.style:
        case "percent":
            text = f"{100 * cell.ours:.1f}{NBSP}%"
            error = None if cell.error is None else f"{100 * cell.error:.1f}"
        case "number":
            text, error = f"{cell.ours:,.0f}", None
        case "seconds":
            text, error = f"{cell.ours:,.0f}{NBSP}s", None
        case _:
            text = f"{cell.ours:.3f}"
            error = None if cell.error is None else f"{cell.error:.3f}"
    parts = [text, *([f"±{NBSP}{error}"] if error else []), *([SCALED] if cell.scaled else [])]
    return NBSP.join(parts)


def seeds(cell: Cell) -> str:
    """Return over which seeds ours is a mean: "3 seeds, sd 0.4", "2 of 3 seeds, sd 0.4"; empty where there is one."""
    if cell.of_seeds < 2:
        return ""
    number = f"{cell.seeds} of {cell.of_seeds}" if cell.seeds < cell.of_seeds else f"{cell.seeds}"
    if cell.spread is None:
        return f"{number} seeds"
    match cell.style:
        case "percent":
            spread = f"{100 * cell.spread:.1f}"
        case "number" | "seconds":
            spread = f"{cell.spread:,.0f}"
        case _:
            spread = f"{cell.spread:.3f}"
    return f"{number} seeds, sd {spread}"


def difference(cell: Cell) -> str:
    """Return ours less the paper's, with the mark: in points, or in the paper's own unit where it is no share."""
    if cell.difference is None:
        return ""
    text = f"{cell.difference:+,.0f}" if cell.style in ("number", "seconds") else f"{cell.difference:+.3f}"
    text = points(cell.difference) if cell.style == "percent" else text.replace("-", "−")
    return f"{text}{NBSP}{SCALED}" if cell.scaled else text


def interval(cell: Cell) -> str:
    """Return the difference's 95 % interval in the same unit: "−2.4 to +0.9"."""
    if cell.low is None or cell.high is None:
        return ""
    ends = (
        points(end) if cell.style == "percent" else f"{end:+.3f}".replace("-", "−") for end in (cell.low, cell.high)
    )
    return " to ".join(ends)


def how_claims_are_tested(report: Report) -> str:
    """Return what stands below the paper's claims."""
    seeds = max((claim.test.seeds for claim in report.claims if claim.test), default=1)
    trainings = (
        "One training each: another seed may say otherwise"
        if seeds == 1
        else f"Points are means over {seeds} trainings of each, which differ in their seed; the test is over faces, "
        "and how much other seeds would change is not in it"
    )
    return (
        f"Our runs on the same validation faces, in points of accuracy: exact randomisation test of the pairs "
        f"({'McNemar' if seeds == 1 else 'Fisher'}), 95 % bootstrap intervals over the faces. {trainings}."
    )


def verdict(report: Report) -> str:
    """Return in a sentence how many of the paper's values ours agree with."""
    judged = [cell for cell in report.cells() if cell.low is not None]
    differing = sum(cell.differs for cell in judged)
    rows = (row for table in report.tables for row in table.rows if row.collapsed)
    hollow = sum(cell.low is not None and not cell.differs for row in rows for cell in row.cells)
    waiting = sum(bool(cell.missing) and cell.printed is not None for cell in report.cells())
    if not judged:
        return f"No printed value could be compared yet; waiting for a training or a look: {waiting}."
    mark = f"{NBSP}{SCALED}" if any(cell.scaled for cell in judged) else ""
    agree = f"{len(judged) - differing} of {len(judged)} printed values agree with ours{mark} within chance"
    agree += f" ({hollow} of them of collapsed trainings, there as here)" if hollow else ""
    missing = f"; waiting for a training or a look: {waiting}" if waiting else ""
    return f"{agree}; not so: {differing}{missing}."


def changed(report: Report) -> str:
    """Return a sentence on what was changed in all recipes; empty where nothing was."""
    if not report.changes:
        return ""
    return f"In every recipe of this study: {', '.join(report.changes)}. So these are not the paper's trainings."


def scaled_runs(report: Report) -> str:
    """Return a sentence on what was scaled; empty where nothing was."""
    if report.scale == 1:
        return ""
    return (
        f"Every training was cut to {report.scale:g} of the study's epochs. Numbers with {SCALED} come from such "
        "trainings and are not the paper's experiment."
    )


def collapsed(report: Report) -> list[str]:
    """Return a sentence for each training that calls nearly every face the same."""
    sentences = []
    for trained in report.trainings:
        if trained.scored is not None and (label := trained.scored.evaluation.collapsed):
            evaluation = trained.scored.evaluation
            called = next(scores.called for scores in evaluation.classes if scores.label == label)
            sentences.append(
                f"{trained.name}{mark_of(trained)} has collapsed: it calls {called:,} of "
                f"{counted(evaluation.n, 'face')} of {evaluation.split} “{label}”."
            )
    return sentences


def mark_of(trained: Trained) -> str:
    """Return what stands behind a training's numbers: the mark if it was scaled, else nothing."""
    return f"{NBSP}{SCALED}" if trained.scored is not None and trained.scored.scaled else ""


def unfinished(report: Report) -> list[str]:
    """Return a sentence for each training that has not finished."""
    return [
        f"{trained.name}: {trained.state.rstrip('.')}." for trained in report.trainings if trained.state != "finished"
    ]
