"""The paper's tables beside ours: every cell with its difference and interval, and a sentence where they differ.

In: a study's folder.  Out: a Report, which is plain values; `report/` shows it.
"""

import json
import math
from dataclasses import asdict, dataclass

from mien.data.description import describe
from mien.data.faceset import open_faceset
from mien.evaluation.comparison import SeedsCompared, compare_seeds
from mien.evaluation.metrics import Evaluation, standard_error
from mien.studies.folder import StudyFolder
from mien.studies.measured import Measured, Missing, Scored
from mien.studies.study import AVERAGES, Column, Row, Table
from mien.words import counted

Z = 1.959964  # of 95 %


@dataclass(frozen=True, slots=True)
class Cell:
    """A printed value and ours.

    Attributes:
        printed: As printed; None where the paper prints none.
        style: How ours is written: `percent`, `decimal`, `number`, `seconds`; empty where there is no value of ours.
        ours: Our value; shares 0-1. With several seeds, their mean.
        error: Its standard error over the faces; None where it has none.
        n: Faces behind it.
        seeds: Trainings behind it.
        spread: Standard deviation over seeds; None with one.
        difference: Ours less the paper's; None where none is taken.
        low: Lower end of the difference's 95 % interval.
        high: Upper end.
        scaled: "3 of 15 epochs" where it was scaled; else empty.
        missing: Why there is no value of ours; else empty.
    """

    printed: str | None
    style: str = ""
    ours: float | None = None
    error: float | None = None
    n: int = 0
    seeds: int = 0
    spread: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    scaled: str = ""
    missing: str = ""

    @property
    def differs(self) -> bool:
        """Whether the difference is more than chance: zero is outside its interval."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """A row: its name's parts, a cell for each column, the class that its run calls nearly all faces."""

    name: tuple[str, ...]
    cells: tuple[Cell, ...]
    collapsed: str | None


@dataclass(frozen=True, slots=True)
class ComparedTable:
    """A table of the paper with ours.

    Attributes:
        title: As the study says.
        header: What the parts of a row's name are.
        columns: The study's columns.
        rows: As many as the paper's.
        note: What a reader must know of it.
        sentences: One for each cell that differs by more than chance.
    """

    title: str
    header: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[ComparedRow, ...]
    note: str | None
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that the paper says in words, and a paired test of it over all seeds; None where a run is missing."""

    says: str
    first: str
    second: str
    scaled: bool
    test: SeedsCompared | None


@dataclass(frozen=True, slots=True)
class Trained:
    """A training: where it stands, and how it did on the faces it validates on."""

    name: str
    recipe: str
    state: str
    epochs: int
    of_epochs: int
    seconds: float
    scored: Scored | None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a study's report shows.

    Attributes:
        name: Of the study.
        about: One sentence.
        paper: Where the tables are printed.
        protocol: Where our protocol differs.
        data: Name, hash and sizes of the FaceSet.
        leaks: Sentences on faces that are on both sides of a split.
        scale: Share of the epochs that was trained.
        changes: `key=value` for every recipe.
        tables: The paper's.
        claims: What it says in words.
        trainings: In the study's order.
        winners: The state chosen for each, or why there is none.
    """

    name: str
    about: str
    paper: str
    protocol: tuple[str, ...]
    data: str
    leaks: tuple[str, ...]
    scale: float
    changes: tuple[str, ...]
    tables: tuple[ComparedTable, ...]
    claims: tuple[Claim, ...]
    trainings: tuple[Trained, ...]
    winners: dict[str, str]

    def cells(self) -> list[Cell]:
        """Return the cells of all tables."""
        return [cell for table in self.tables for row in table.rows for cell in row.cells]

    def to_json(self) -> str:
        """Return everything as JSON text."""
        text = asdict(self) | {
            "tables": [asdict(t) | {"columns": [c.model_dump() for c in t.columns]} for t in self.tables]
        }
        return json.dumps(text, indent=1, ensure_ascii=False) + "\n"


def make_report(folder: StudyFolder, *, look_at_private_test: bool = False) -> Report:
    """Compare what a study's folder holds with what its paper prints.

    Args:
        folder: The study, finished or not.
        look_at_private_test: Whether looks that have not been taken yet may be; each is logged.
    """
    study, measured = folder.study, Measured(folder, look_at_private_test=look_at_private_test)
    tables = tuple(_table(table, measured) for table in study.tables)
    trainings = tuple(_trained(folder, measured))
    scaled = {training.of for training in folder.trainings if training.scaled}
    claims = []
    for claim in study.comparisons:
        first, second = measured.called(claim.first), measured.called(claim.second)
        test = None if first is None or second is None else compare_seeds(first[0], second[0], first[1])
        claims.append(Claim(claim.says, claim.first, claim.second, bool({claim.first, claim.second} & scaled), test))
    faces = open_faceset(folder.faceset_path)
    description = describe(faces)
    sizes = dict(zip(faces.split_names, map(sum, zip(*description.counts, strict=True)), strict=True))
    listed = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
    return Report(
        name=study.name,
        about=study.about,
        paper=study.paper,
        protocol=study.protocol,
        data=f"{faces.name} (FaceSet {faces.sha256[:12]}): {listed}",
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
    )


def _winner(measured: Measured, name: str) -> str:
    state = measured.winner(name)
    if isinstance(state, Missing):
        return state.why
    return f"{state.training.name} after {counted(state.epochs, 'epoch')}"


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
        sentence(row, column, cell)
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
            collapsed = next((s.evaluation.collapsed for s in found if isinstance(s, Scored)), None) or collapsed
    return ComparedRow(row.name, tuple(cells), collapsed)


def _cell(printed: str | None, column: Column, row: Row, found: list[Scored | Missing], support: int | None) -> Cell:
    scored = [one for one in found if isinstance(one, Scored)]
    if not scored:
        (why,) = {one.why for one in found[:1] if isinstance(one, Missing)}
        return Cell(printed, missing=why)
    values = [value_of(one, column, row.of) for one in scored]
    ours_n = _faces_behind(scored[0].evaluation, column, row.of)
    if values[0] is None:
        return Cell(printed)
    ours = sum(value for value in values if value is not None) / len(values)
    style = _style(printed, column)
    proportion = column.measure in ("accuracy", "train_accuracy") or (
        (column.measure, row.of in AVERAGES) == ("recall", False) or (column.measure, row.of) == ("f1", "accuracy")
    )
    theirs = _value(printed) if column.compare else None
    low = high = None
    if theirs is not None and column.n is not None and ours_n:
        if proportion and column.measure != "train_accuracy":
            their_n = column.n
            if row.of is not None and row.of not in AVERAGES:
                their_n = support or max(1, round(column.n * ours_n / scored[0].evaluation.n))
            low, high = newcombe(ours, ours_n, theirs, their_n)
        elif (column.measure, row.of) == ("f1", "macro") and len(scored) == 1:
            low, high = scored[0].macro_f1.low - theirs, scored[0].macro_f1.high - theirs
    return Cell(
        printed=printed,
        style=style,
        ours=ours,
        error=standard_error(ours, ours_n) if proportion and ours_n and column.measure != "train_accuracy" else None,
        n=ours_n,
        seeds=len(scored),
        spread=_spread([value for value in values if value is not None]),
        difference=None if theirs is None else ours - theirs,
        low=low,
        high=high,
        scaled=f"{scored[0].epochs} of {counted(scored[0].of_epochs, 'epoch')}" if scored[0].scaled else "",
    )


def value_of(scored: Scored, column: Column, of: str | None) -> float | None:
    """Return what a column asks for; None where there is no such value, as of precision in a row of accuracy."""
    evaluation = scored.evaluation
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
    by_class = {scores.label: scores for scores in evaluation.classes}
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
    value = next(printed, None)
    return int(value) if value else None


def _value(printed: str | None) -> float | None:
    """Return 0.6442 of "64.42%" and 0.54 of "0.54"."""
    if printed is None:
        return None
    return float(printed[:-1]) / 100 if printed.endswith("%") else float(printed)


def _style(printed: str | None, column: Column) -> str:
    if column.measure in ("support", "seconds"):
        return "number" if column.measure == "support" else "seconds"
    if printed is None and column.measure in ("accuracy", "train_accuracy", "recall"):
        return "percent"
    return "percent" if printed and printed.endswith("%") else "decimal"


def _spread(values: list[float]) -> float | None:
    if len(values) < 2:
        return None
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))


def newcombe(p1: float, n1: int, p2: float, n2: int) -> tuple[float, float]:
    """Return the 95 % interval of p1 - p2, two shares of n1 and n2 independent faces (Newcombe 1998, method 10).

    Where both are shares of the same faces, the true interval is narrower; but the paper's answers are not known.
    """
    low1, high1 = _wilson(p1, n1)
    low2, high2 = _wilson(p2, n2)
    difference = p1 - p2
    return (
        difference - math.hypot(p1 - low1, high2 - p2),
        difference + math.hypot(high1 - p1, p2 - low2),
    )


def _wilson(share: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of n (Wilson 1927)."""
    centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return centre - half, centre + half


def sentence(row: ComparedRow, column: Column, cell: Cell) -> str:
    """Return what there is to say of a cell that differs."""
    assert cell.difference is not None
    assert cell.low is not None
    assert cell.high is not None
    word = "above" if cell.difference > 0 else "below"
    low, high = sorted((abs(cell.low), abs(cell.high)))
    return (
        f"{' · '.join(row.name)}, {column.name}: ours is {100 * abs(cell.difference):.1f} points {word} the paper's "
        f"{cell.printed} (95 % interval {100 * low:.1f} to {100 * high:.1f})"
        f"{f', after {cell.scaled}' if cell.scaled else ''}."
    )
