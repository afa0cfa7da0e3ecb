"""Studies: which trainings a paper's tables need, and what those tables print, in one frozen value.

In: a YAML file of the package or of the user.  Out: a Study; unknown keys are refused.
"""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from mien.errors import StudyError, unknown_name
from mien.training.recipe import Section
from mien.training.yaml_files import first_problem, is_yaml, read_yaml

Measure = Literal["accuracy", "precision", "recall", "f1", "support", "loss", "train_accuracy", "train_loss", "seconds"]
SHARES = ("accuracy", "train_accuracy", "precision", "recall", "f1")
OF_A_CLASS = ("precision", "recall", "f1", "support")
AVERAGES = ("macro", "weighted", "accuracy")
Text = Annotated[str, Field(min_length=1)]


class Variant(Section):
    """One change to the study's base recipe, by a name."""

    recipe: str | None = None
    """Another recipe in place of the base: a name or a file, as for `base`."""
    set: dict[str, Any] = {}
    """Settings changed on top, dotted as for `mien train --set`."""


class SplitSection(Section):
    """How the study divides a FaceSet that does not have the splits its recipes ask for; see data/split.py."""

    parts: dict[str, float]
    """Share of each new split."""
    only: str | None = None
    """Split to divide; by default all faces."""
    take: int | None = Field(None, ge=1)
    """Faces to draw first, each class in proportion; all, if there are fewer."""
    by: Literal["group", "face"] = "group"
    """`group` keeps twins, a video's frames and a person's pictures on one side."""


class Column(Section):
    """A column of a printed table, and what of ours stands beside it."""

    name: Text
    """As printed."""
    measure: Measure | None = None
    """What of ours is compared; none: the column is shown as it was printed, and no more."""
    split: str | None = None
    """On which faces; by default those that the run validates on. PrivateTest is looked at only when asked for."""
    run: str | None = None
    """Of which run or winner, where a row is a class and not a run."""
    n: int | None = Field(None, ge=1)
    """Faces behind the printed value, where known; gives the difference its interval."""
    compare: bool = True
    """Whether a difference means anything; the table's note says why not."""


class Row(Section):
    """A row of a printed table."""

    name: tuple[Text, ...]
    """As printed: one value for each of the table's `header`."""
    run: str | None = None
    """The run or winner it is about."""
    epochs: int | None = Field(None, ge=1)
    """The state of that run after so many epochs; by default after its last."""
    of: str | None = None
    """The class, `macro`, `weighted` or `accuracy`, in a table of classes."""
    printed: tuple[str | None, ...]
    """A value for each column, letter by letter: "64.42%". None where the paper prints none."""

    @field_validator("name", "printed", mode="before")
    @classmethod
    def _as_printed(cls, value: object) -> object:
        if not isinstance(value, list | tuple):
            value = [value]
        if any(isinstance(item, float) for item in value):
            raise ValueError('put numbers with a point in quotes, as in "0.50", so that they stay as they are printed')
        return [str(item) if isinstance(item, int) else item for item in value]


class Table(Section):
    """A table as a paper prints it."""

    title: Text
    header: tuple[Text, ...] = ("model",)
    """What the parts of a row's name are."""
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str | None = None
    """What a reader must know of it."""

    @model_validator(mode="after")
    def _is_rectangular(self) -> "Table":
        for row in self.rows:
            if len(row.printed) != len(self.columns) or len(row.name) != len(self.header):
                raise ValueError(
                    f"row {' '.join(row.name)!r} has {len(row.name)} names and {len(row.printed)} values; the table "
                    f"has {len(self.header)} and {len(self.columns)} columns"
                )
            for column, printed in zip(self.columns, row.printed, strict=True):
                if column.measure is None or not column.compare or printed is None:
                    continue
                if row.of not in (None, *AVERAGES) and column.measure not in OF_A_CLASS:
                    raise ValueError(
                        f"row {' '.join(row.name)!r} is of a class, which has {', '.join(OF_A_CLASS)} and no "
                        f"{column.measure}; what papers call the accuracy of a class is its recall"
                    )
                if (printed_number(printed) or 0) > 1 and column.measure in SHARES:
                    raise ValueError(
                        f"{printed!r} is above 1, the most that {column.measure} can be; is it {printed}%?"
                    )
        return self


def printed_number(printed: str | None) -> float | None:
    """Return 0.6442 of "64.42%", 0.54 of "0.54" and 1234 of "1,234"; raises ValueError for what is no number."""
    if printed is None:
        return None
    found = re.fullmatch(r"((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?) ?(%?)", printed)
    if found is None:
        raise ValueError(
            f"{printed!r} is no number to compare with; write it as 64.42%, 0.54 or 1,234, as null where the paper "
            "prints none, or give its column compare: false"
        )
    number = float(found[1].replace(",", ""))
    return number / 100 if found[2] else number


class Winner(Section):
    """The best of some runs, all their stages included, by accuracy on the faces that they validate on."""

    among: Text
    """Their names, * for any letters."""


class Comparison(Section):
    """Two runs on the same faces, for something that the paper says in words."""

    says: Text
    """What the paper says."""
    first: str
    second: str


class Curves(Section):
    """A figure of learning curves."""

    title: Text
    runs: str = "*"
    """Names of the runs in it, * for any letters."""


class Study(Section):
    """Which trainings a paper's tables need, and what these tables print."""

    name: Text
    """What users type."""
    about: Text
    """One sentence for `mien study list`."""
    paper: Text
    """Where the tables are printed."""
    base: str
    """The recipe that variants change: a name or a file, seen from the study's folder."""
    variants: dict[str, Variant] = {}
    """Named changes; none: the base alone, as `base`."""
    grid: dict[str, tuple[Any, ...]] = {}
    """Settings with several values each: every variant is trained with every combination of them."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of each training; with several, tables show their mean."""
    data: SplitSection | None = None
    """How to divide the FaceSet if need be."""
    protocol: tuple[Text, ...] = ()
    """Where our protocol differs from the paper's, in sentences."""
    tables: tuple[Table, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    winners: dict[str, Winner] = {}
    curves: tuple[Curves, ...] = (Curves(title="Learning curves"),)

    @field_validator("variants", mode="before")
    @classmethod
    def _a_name_is_a_recipe(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {name: {"recipe": change} if isinstance(change, str) else change or {} for name, change in value.items()}

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if not seeds or len(set(seeds)) < len(seeds):
            raise ValueError("name one seed at least, and each once")
        return seeds

    def to_yaml(self) -> str:
        """Return the study as YAML text, every default written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    def check_classes(self, labels: Sequence[str]) -> None:
        """Raise StudyError if a row is of a class that the faces do not have."""
        for table in self.tables:
            for row in table.rows:
                if row.of is not None and row.of not in (*AVERAGES, *labels):
                    raise StudyError(f"Study {self.name}, {table.title}: {unknown_name('class', row.of, labels)}")

    def check_names(self, runs: set[str]) -> None:
        """Raise StudyError if a table, comparison, winner or figure names a run that the study does not train."""
        for table in self.tables:
            for run in (*(row.run for row in table.rows), *(column.run for column in table.columns)):
                if run is not None and run not in runs | set(self.winners):
                    raise StudyError(f"Study {self.name}, {table.title}: {unknown_name('run', run, runs)}")
        for comparison in self.comparisons:
            for run in (comparison.first, comparison.second):
                if run not in runs:
                    raise StudyError(f"Study {self.name}, {comparison.says!r}: {unknown_name('run', run, runs)}")
        for pattern in (*(winner.among for winner in self.winners.values()), *(curves.runs for curves in self.curves)):
            if not any(fnmatchcase(run, pattern) for run in runs):
                raise StudyError(f"Study {self.name}: no run is called like {pattern!r}; {_listed(runs)}")


def study_files() -> dict[str, Path]:
    """Return the package's studies, by name."""
    folder = Path(str(files("mien") / "studies" / "papers"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load_study(name_or_path: str) -> Study:
    """Read a study.

    Args:
        name_or_path: One of the package's studies, or the path of a YAML file.

    Raises:
        StudyError: No such study, an unknown key, or a value that the key cannot have.
    """
    known = study_files()
    path = known.get(name_or_path, Path(name_or_path))
    if not path.is_file():
        raise StudyError(unknown_name("study", name_or_path, known))
    study = as_study(read_yaml(path, StudyError), path)
    variants = {
        name: variant.model_copy(update={"recipe": variant.recipe and _seen_from(path.parent, variant.recipe)})
        for name, variant in study.variants.items()
    }
    return study.model_copy(update={"base": _seen_from(path.parent, study.base), "variants": variants})


def _seen_from(folder: Path, recipe: str) -> str:
    """Return the path of a recipe's file so that it means the same in every folder; a recipe's name as it is."""
    return str((folder / recipe).resolve()) if is_yaml(Path(recipe)) else recipe


def as_study(content: object, path: Path) -> Study:
    """Return what a YAML file holds as a Study; raises StudyError, which names the file."""
    try:
        return Study.model_validate(content)
    except ValidationError as error:
        raise StudyError(f"Study {path.stem}: {first_problem(error, Study)}") from error


def _listed(runs: set[str]) -> str:
    return f"its runs are: {', '.join(sorted(runs))}."
