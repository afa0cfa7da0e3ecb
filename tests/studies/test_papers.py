"""The studies print what the papers print, letter by letter; and what they compare is what the papers measured."""

import re
from pathlib import Path

import pytest

from mien.labels import EXPRESSIONS
from mien.studies.study import Row, Table, load_study, study_files
from mien.training.recipe_files import recipe_files
from tests.conftest import SHARED
from tests.evaluation.test_papers_tables import BARBAGALLO_2, MAES_LANGE_2, MAES_LANGE_4, Printed

PAPERS = SHARED.parent / "papers"
ROWS = {
    "alizadeh": [4, 7, 7],
    "barbagallo": [8, 10],
    "holman": [3, 7],
    "jawade": [2, 3, 9],
    "maes-lange": [24, 10, 24, 10],
}


def _values(row: Row) -> list[str]:
    """Return a row's parts in the order in which its paper prints them."""
    printed = [value for value in row.printed if value is not None]
    if len(row.name) == 4:  # maes-lange: the elapsed time comes first
        return [printed[0], *row.name, *printed[1:]]
    return [*row.name, *printed] if len(row.name) > 1 else printed


def _tables() -> list[tuple[str, Table]]:
    return [(name, table) for name in study_files() for table in load_study(name).tables]


@pytest.mark.parametrize(("name", "table"), _tables(), ids=lambda value: getattr(value, "title", value))
def test_each_row_is_a_line_of_the_paper(name: str, table: Table) -> None:
    if not PAPERS.is_dir():
        pytest.skip(f"needs the papers, which are not at {PAPERS}")
    (paper,) = PAPERS.glob(f"[1-5]-{name}*.txt")
    lines = paper.read_text().splitlines()
    for row in table.rows:
        values = _values(row)
        if not any(row.printed):
            continue
        pattern = r"(?<![\d.])" + r"\D.*?(?<![\d.])".join(map(re.escape, values)) + r"(?!\d|\.\d)"
        assert any(re.search(pattern, line) for line in lines), f"{row.name}: {values}"
        if len(row.name) == 1 and table.title[:6] in ("Table ", "Figure"):
            assert any(re.search(pattern, line) and row.name[0] in line for line in lines), row.name


def test_no_row_of_a_table_is_left_out() -> None:
    assert {name: [len(table.rows) for table in load_study(name).tables] for name in study_files()} == ROWS


@pytest.mark.parametrize(
    ("name", "title", "printed"),
    [
        ("barbagallo", "Table 2", BARBAGALLO_2),
        ("maes-lange", "Table 2", MAES_LANGE_2),
        ("maes-lange", "Table 4", MAES_LANGE_4),
    ],
)
def test_tables_of_classes_are_those_that_were_checked_digit_by_digit(name: str, title: str, printed: Printed) -> None:
    (table,) = (table for table in load_study(name).tables if table.title.startswith(title))
    *classes, accuracy, macro, weighted = table.rows
    assert [row.of for row in table.rows] == [*EXPRESSIONS, "accuracy", "macro", "weighted"]
    for row, expected in zip(classes, printed.classes, strict=True):
        assert [round(float(value or ""), 2) for value in row.printed] == list(expected)
    assert accuracy.printed[:2] == (None, None)
    assert [float(value or "") for value in accuracy.printed[2:]] == [printed.accuracy, 3589]
    for row, averages in ((macro, printed.macro), (weighted, printed.weighted)):
        assert tuple(float(value or "") for value in row.printed[:3]) == averages


def test_private_test_is_on_two_tables_alone_and_behind_a_choice_by_validation() -> None:
    seen = {
        (name, table.title, column.run)
        for name, table in _tables()
        for column in table.columns
        if column.split == "PrivateTest"
    }
    assert {(name, run) for name, _, run in seen} == {("maes-lange", "best-adam"), ("maes-lange", "best-sgd")}
    winners = load_study("maes-lange").winners
    assert {name: winner.among for name, winner in winners.items()} == {"best-adam": "adam-*", "best-sgd": "sgd-*"}


def test_a_collapsed_row_of_maes_lange_is_happy_for_every_face() -> None:
    rows = [row for table in load_study("maes-lange").tables for row in table.rows if len(row.name) == 4]
    collapsed = [row for row in rows if row.printed[1] == f"{895 / 3589:.9f}"]  # the happy faces of PublicTest
    assert len(collapsed) == 18
    assert {row.printed[2:] for row in collapsed} == {("0.1", "0.5", "0.166666667")}


def test_every_recipe_of_a_paper_is_in_its_study() -> None:
    for name in study_files():
        recipes = {recipe for recipe in recipe_files() if recipe.startswith(f"{name}/")}
        assert {variant.recipe for variant in load_study(name).variants.values()} == recipes


def test_studies_name_no_file_of_this_machine() -> None:
    for path in study_files().values():
        assert not re.search(r"(^|\s)/\w+/", Path(path).read_text())
