"""What a study's report says, as plain values. `compare.py` makes it, `report/` shows it."""

import json
from dataclasses import asdict, dataclass

from mien.evaluation.comparison import SeedsCompared
from mien.studies.measured import Scored
from mien.studies.study import Column

SCALED = "‡"  # stands behind every number of a training that was cut short


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
        of_seeds: Trainings of the study that it is about; more, if some have not finished.
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
    of_seeds: int = 0
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
class Curve:
    """How a run learnt.

    Attributes:
        name: Of the run.
        epochs: Their numbers, from 1.
        validation_accuracy: After each of them, 0-1.
        train_accuracy: In each of them, on augmented faces while the weights move, 0-1.
    """

    name: str
    epochs: tuple[int, ...]
    validation_accuracy: tuple[float, ...]
    train_accuracy: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class CurvesFigure:
    """A figure of learning curves: its title, and the runs in it that have begun."""

    title: str
    runs: tuple[Curve, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a study's report shows.

    Attributes:
        name: Of the study.
        about: One sentence.
        paper: Where the tables are printed.
        protocol: Where our protocol differs.
        faces: Name and hash of the FaceSet.
        data: The same, with the sizes of its splits.
        leaks: Sentences on faces that are on both sides of a split.
        scale: Share of the epochs that was trained.
        changes: `key=value` for every recipe.
        tables: The paper's.
        claims: What it says in words.
        trainings: In the study's order.
        winners: The state chosen for each, or why there is none.
        curves: Figures of learning curves; none of a figure whose runs have not begun.
    """

    name: str
    about: str
    paper: str
    protocol: tuple[str, ...]
    faces: str
    data: str
    leaks: tuple[str, ...]
    scale: float
    changes: tuple[str, ...]
    tables: tuple[ComparedTable, ...]
    claims: tuple[Claim, ...]
    trainings: tuple[Trained, ...]
    winners: dict[str, str]
    curves: tuple[CurvesFigure, ...]

    def cells(self) -> list[Cell]:
        """Return the cells of all tables."""
        return [cell for table in self.tables for row in table.rows for cell in row.cells]

    def to_json(self) -> str:
        """Return everything as JSON text."""
        text = asdict(self) | {
            "tables": [asdict(t) | {"columns": [c.model_dump() for c in t.columns]} for t in self.tables]
        }
        return json.dumps(text, indent=1, ensure_ascii=False) + "\n"
