"""Report -> report.md: the same as the page says, for a repository."""

from collections.abc import Sequence

from mien.evaluation.report.page import accuracy, p_value, points, share
from mien.studies.compared import SCALED, Cell, ComparedTable, Report
from mien.studies.report import words
from mien.studies.report.page import HOW_TO_READ, behind, missing_of
from mien.studies.study import Column


def render_markdown(report: Report, pictures: Sequence[tuple[str, str]]) -> str:
    """Return the text; `pictures` are titles and file names of the learning curves."""
    lines = [
        f"# {report.name}: the paper's tables beside ours",
        "",
        f"{report.paper}. {report.about}",
        "",
        f"Our faces: {report.data}.",
        "",
    ]
    if changed := words.changed(report):
        lines += [f"**Changed.** {changed}", ""]
    if scaled := words.scaled_runs(report):
        lines += [f"**Scaled.** {scaled}", ""]
    lines += [words.verdict(report), ""]
    lines += [HOW_TO_READ, ""] if report.tables else []
    lines += _items([*words.collapsed(report), *words.unfinished(report)])
    for table in report.tables:
        lines += [f"## {table.title}", "", *_table(table), "", _note(table), ""]
        lines += _items(table.sentences)
    if report.claims:
        lines += ["## What the paper says in words", "", *_claims(report), ""]
        lines += [words.how_claims_are_tested(report), ""]
    if pictures:
        lines += ["## How they learnt", ""]
        lines += [line for title, file in pictures for line in (f"![{title}]({file})", "")]
    leaks = [f"{sentence}." for sentence in report.leaks]
    lines += ["## What differs in the protocol", ""]
    lines += _items([*report.protocol, *leaks])
    lines += ["## The trainings", "", *_trainings(report), ""]
    lines += [f"Chosen as {name}: {state}." for name, state in report.winners.items()]
    return "\n".join(lines).rstrip() + "\n"


def _table(table: ComparedTable) -> list[str]:
    head = [*table.header]
    for column in table.columns:
        head += [f"{column.name}: printed" if column.measure else column.name]
        head += ["ours"] * bool(column.measure) + ["ours − printed"] * bool(column.measure and column.compare)
    rows = []
    for row in table.rows:
        cells = [*row.name]
        for column, cell in zip(table.columns, row.cells, strict=True):
            cells += _cells(column, cell)
        if row.collapsed:
            cells[0] += " (collapsed)"
        rows.append(cells)
    return _grid(head, rows, names=len(table.header))


def _cells(column: Column, cell: Cell) -> list[str]:
    if column.measure is None:
        return [cell.printed or ""]
    cells = [cell.printed or "", words.ours(cell)]
    if words.seeds(cell):
        cells[-1] += f" ({words.seeds(cell)})"
    if column.compare:
        interval = f" ({words.interval(cell)})" if words.interval(cell) else ""
        difference = f"{words.difference(cell)}{interval}"
        cells.append(f"**{difference}**" if cell.differs else difference)
    return cells


def _note(table: ComparedTable) -> str:
    missing = missing_of(table)
    faces = f"Ours: {behind(table)}, ± one standard error." if behind(table) else ""
    parts = [table.note or "", faces, f"–: {'; '.join(missing)}." if missing else ""]
    return " ".join(filter(None, parts))


def _claims(report: Report) -> list[str]:
    rows = []
    for claim in report.claims:
        row = [claim.says, f"{claim.second} against {claim.first}"]
        if claim.test is None:
            row += ["a training is missing", ""]
        else:
            gain, mark = claim.test.accuracy_gain, f" {SCALED}" if claim.scaled else ""
            row += [
                f"{points(gain.value)}{mark} ({points(gain.low)} to {points(gain.high)})",
                f"{p_value(claim.test.p_value)}{mark}",
            ]
        rows.append(row)
    return _grid(["the paper", "second against first", "points", "p"], rows, names=2)


def _trainings(report: Report) -> list[str]:
    rows = []
    for one in report.trainings:
        row = [one.name, one.recipe, one.state]
        if one.scored is None:
            row += [""] * 4
        else:
            mark = words.mark_of(one)
            row += [f"{one.epochs} of {one.of_epochs}", f"{one.seconds / 60:.1f}{mark}"]
            row += [f"{accuracy(one.scored.evaluation)}{mark}", f"{share(one.scored.macro_f1.value)}{mark}"]
        rows.append(row)
    return _grid(["run", "recipe", "state", "epochs", "minutes", "accuracy", "macro F1"], rows, names=3)


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]], *, names: int) -> list[str]:
    """Return a table whose first columns are names, to the left, and whose others are numbers, to the right."""
    rule = ["---"] * names + ["---:"] * (len(head) - names)
    return [f"| {' | '.join(cell.replace('|', '∣') for cell in row)} |" for row in (head, rule, *rows)]


def _items(sentences: Sequence[str]) -> list[str]:
    return [*(f"- {sentence}" for sentence in sentences), ""] if sentences else []
