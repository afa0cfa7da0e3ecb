"""The paper's tables beside ours: every cell with its difference and interval, and a sentence where they differ.

In: a study's folder.  Out: a Report.
"""

import math
import statistics
from collections.abc import Iterator, Sequence
from contextlib import suppress

from mien.data.description import describe
from mien.evaluation.comparison import compare_seeds, newcombe
from mien.evaluation.metrics import Evaluation, standard_error
from mien.studies.compared import (
    SCALED,
    Cell,
    Claim,
    ComparedRow,
    ComparedTable,
    Curve,
    CurvesFigure,
    Report,
    Trained,
)
from mien.studies.folder import StudyFolder
from mien.studies.measured import Measured, Missing, Scored, learning_curves
from mien.studies.study import AVERAGES, OF_A_CLASS, Column, Row, Table, printed_number
from mien.words import counted


def make_report(folder: StudyFolder, *, look_at_private_test: bool = False) -> Report:
    """Compare what a study's folder holds with what its paper prints.

    Args:
        folder: The study, finished or not.
        look_at_private_test: Whether looks that have not been taken yet may be; each is logged.

    Raises:
        StudyError: A run folder was trained by another recipe than the study's, or on other faces than lie there now.
        DataError: The FaceSet is broken.
    """
    folder.check_trained_by(folder.trainings)
    faces = folder.faces()
    study, measured = folder.study, Measured(folder, look_at_private_test=look_at_private_test)
    tables = tuple(_table(table, measured) for table in study.tables)
    trainings = tuple(_trained(folder, measured))
    scaled = {training.of for training in folder.trainings if training.scaled}
    claims = []
    for claim in study.comparisons:
        first, second = measured.called(claim.first), measured.called(claim.second)
        test = None if first is None or second is None else compare_seeds(first[0], second[0], first[1])
        claims.append(Claim(claim.says, claim.first, claim.second, bool({claim.first, claim.second} & scaled), test))
    description = describe(faces)
    sizes = dict(zip(faces.split_names, map(sum, zip(*description.counts, strict=True)), strict=True))
    called = f"{faces.name} (FaceSet {faces.sha256[:12]})"
    listed = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
    return Report(
        name=study.name,
        about=study.about,
        paper=study.paper,
        protocol=study.protocol,
        faces=called,
        data=f"{called}: {listed}",
        leaks=tuple(
            f"{count:,} of {counted(sizes[second], 'face')} of {second} with {what} {first}"
            for pairs, what in (
                (description.twins, "a pixel-identical twin in"),
                (description.divided, "others of their group (a video, a person) in"),
            )
            for (first, second), count in pairs.items()
            if count
        ),
        scale=folder.settings.scale,
        changes=folder.settings.changes,
        tables=tables,
        claims=tuple(claims),
        trainings=trainings,
        winners={name: _winner(measured, name) for name in study.winners},
        curves=tuple(_curves(folder)),
    )


def _curves(folder: StudyFolder) -> Iterator[CurvesFigure]:
    for figure in folder.study.curves:
        runs = tuple(
            Curve(
                name,
                tuple(epoch.number for epoch in epochs),
                tuple(epoch.validation_accuracy for epoch in epochs),
                tuple(epoch.train_accuracy for epoch in epochs),
            )
            for name, epochs in learning_curves(folder, figure.runs)
        )
        if runs:
            yield CurvesFigure(figure.title, runs)


def _winner(measured: Measured, name: str) -> str:
    state = measured.winner(name)
    if isinstance(state, Missing):
        return state.why
    if state.scaled == state.epochs:
        return f"{state.training.name} after {counted(state.epochs, 'epoch')}"
    return f"{state.training.name} after {state.scaled} of {counted(state.epochs, 'epoch')} {SCALED}"


def _trained(folder: StudyFolder, measured: Measured) -> list[Trained]:
    found = []
    for training in folder.trainings:
        scored = next(iter(s for s in measured.of(training.of, None, None) if _is(s, training.name)), None)
        assert scored is None or isinstance(scored, Scored)
        found.append(
            Trained(
                name=training.name,
                recipe=training.recipe.name,
                state=folder.state(training),
                epochs=scored.epochs if scored else 0,
                of_epochs=training.epochs,
                seconds=scored.seconds if scored else 0.0,
                scored=scored,
            )
        )
    return found


def _is(scored: Scored | Missing, name: str) -> bool:
    return isinstance(scored, Scored) and scored.name == name


def _table(table: Table, measured: Measured) -> ComparedTable:
    rows = tuple(_row(table, row, measured) for row in table.rows)
    sentences = tuple(
        sentence(table.header, row, column, cell)
        for row in rows
        for column, cell in zip(table.columns, row.cells, strict=True)
        if cell.differs
    )
    return ComparedTable(table.title, table.header, table.columns, rows, table.note, sentences)


def _row(table: Table, row: Row, measured: Measured) -> ComparedRow:
    cells, collapsed = [], None
    for k, column in enumerate(table.columns):
        run = row.run or column.run
        if column.measure is None or run is None:
            cells.append(Cell(row.printed[k]))
            continue
        found = measured.of(run, row.epochs, column.split)
        cells.append(_cell(row.printed[k], column, row, found, _printed_support(table, row)))
        if row.run is not None:
            classes = [s.evaluation.collapsed for s in found if isinstance(s, Scored) and s.evaluation.collapsed]
            collapsed = next(iter(classes), collapsed)
    return ComparedRow(row.name, tuple(cells), collapsed)


def _cell(printed: str | None, column: Column, row: Row, found: list[Scored | Missing], support: int | None) -> Cell:
    of = row.of or ("macro" if column.measure in ("precision", "recall", "f1") else None)
    scored = [one for one in found if isinstance(one, Scored)]
    if not scored:
        (why,) = {one.why for one in found[:1] if isinstance(one, Missing)}
        return Cell(printed, missing=why)
    values = [value_of(one, column, of) for one in scored]
    ours_n = _faces_behind(scored[0].evaluation, column, of)
    if values[0] is None:
        return Cell(printed)
    ours = sum(value for value in values if value is not None) / len(values)
    style = _style(printed, column)
    proportion = column.measure in ("accuracy", "train_accuracy") or (
        (column.measure, of in AVERAGES) == ("recall", False) or (column.measure, of) == ("f1", "accuracy")
    )
    theirs = printed_number(printed) if column.compare else None
    low = high = None
    if theirs is not None and column.n is not None and ours_n:
        if proportion and column.measure != "train_accuracy":
            their_n = column.n
            if of is not None and of not in AVERAGES:
                their_n = support or max(1, round(column.n * ours_n / scored[0].evaluation.n))
            low, high = newcombe(ours, ours_n, theirs, their_n)
        elif (column.measure, of) == ("f1", "macro") and len(scored) == 1:
            # The paper's own error is taken for ours, on as many faces as it has; both are added as Newcombe does.
            both, macro_f1 = math.sqrt(1 + ours_n / column.n), scored[0].macro_f1
            low, high = (ours - theirs + both * (end - ours) for end in (macro_f1.low, macro_f1.high))
    return Cell(
        printed=printed,
        style=style,
        ours=ours,
        error=standard_error(ours, ours_n) if proportion and ours_n and column.measure != "train_accuracy" else None,
        n=ours_n,
        seeds=len(scored),
        of_seeds=len(found),
        spread=statistics.stdev(value for value in values if value is not None) if len(values) > 1 else None,
        difference=None if theirs is None else ours - theirs,
        low=low,
        high=high,
        scaled=f"{scored[0].epochs} of {counted(scored[0].of_epochs, 'epoch')}" if scored[0].scaled else "",
    )


def value_of(scored: Scored, column: Column, of: str | None) -> float | None:
    """Return what a column asks for; None where there is none, as of a class without a face."""
    evaluation = scored.evaluation
    if of not in (None, *AVERAGES) and column.measure not in OF_A_CLASS:
        return None
    match column.measure:
        case "accuracy":
            return evaluation.accuracy
        case "train_accuracy" | "train_loss" | "seconds" | "loss":
            value: float | None = getattr(scored, column.measure)
            return value
        case "support":
            return float(_faces_behind(evaluation, column, of))
    if of == "accuracy":
        return evaluation.accuracy if column.measure == "f1" else None
    averages = {"macro": evaluation.macro, "weighted": evaluation.weighted}
    by_class = {scores.label: scores for scores in evaluation.classes if scores.support}
    scores = averages.get(of or "macro") or by_class.get(of or "")
    return None if scores is None else float(getattr(scores, column.measure or ""))


def _faces_behind(evaluation: Evaluation, column: Column, of: str | None) -> int:
    """Return how many faces a value is about: those of the class, or all."""
    if column.measure in ("recall", "support") and of is not None and of not in AVERAGES:
        return next((scores.support for scores in evaluation.classes if scores.label == of), 0)
    return evaluation.n


def _printed_support(table: Table, row: Row) -> int | None:
    """Return how many faces of a row's class the paper prints."""
    printed = (value for column, value in zip(table.columns, row.printed, strict=True) if column.measure == "support")
    with suppress(ValueError):  # "about 500", in a column that is not compared
        return round(printed_number(next(printed, None)) or 0) or None
    return None


def _style(printed: str | None, column: Column) -> str:
    if column.measure in ("support", "seconds"):
        return "number" if column.measure == "support" else "seconds"
    if printed is None and column.measure in ("accuracy", "train_accuracy", "recall"):
        return "percent"
    return "percent" if printed and printed.endswith("%") else "decimal"


def sentence(header: Sequence[str], row: ComparedRow, column: Column, cell: Cell) -> str:
    """Return what there is to say of a cell that differs; `header` says what the parts of the row's name are."""
    assert cell.difference is not None
    assert cell.low is not None
    assert cell.high is not None
    word = "above" if cell.difference > 0 else "below"
    low, high = sorted((abs(cell.low), abs(cell.high)))
    name = ", ".join(f"{part} {value}" for part, value in zip(header, row.name, strict=True))
    return (
        f"{name}, {column.name}: ours is {100 * abs(cell.difference):.1f} points {word} the printed "
        f"{cell.printed} (95 % interval {100 * low:.1f} to {100 * high:.1f})"
        f"{f', after {cell.scaled}' if cell.scaled else ''}."
    )
