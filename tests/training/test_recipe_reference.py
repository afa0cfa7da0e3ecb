"""docs/recipes.md, the reference of a recipe's keys, says what the code says."""

import inspect
import json
import re
from dataclasses import fields
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from pydantic.fields import FieldInfo

from mien.models.grammar import AffineBlock, ConvBlock, PlainCNN
from mien.training.recipe import Recipe, Section
from mien.training.recipe_files import load_recipe
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "recipes.md"
HEADER = "| key | values | if left out | means |\n|---|---|---|---|\n"


def _sections() -> dict[str, type[Section]]:
    """Return the recipe's sections by the name of the key that holds them, itself first."""
    sections: dict[str, type[Section]] = {"": Recipe}
    for name, field in Recipe.model_fields.items():
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, Section):
                sections[name] = kind
    return sections


def _rows(section: type[Section]) -> str:
    """Return what the page must have: a row for each key of a section, from its annotation, default and docstring."""
    source = inspect.getsource(section)
    rows = []
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            continue  # it has a table of its own
        below = re.search(rf'^    {name}: [^\n]*\n    """(.*?)"""', source, re.MULTILINE | re.DOTALL)
        assert below, f"{section.__name__}.{name} has no docstring"
        means = re.sub(r"\s+", " ", below[1]).replace("|", "\\|")
        rows.append(f"| `{name}` | {_values(name, field)} | {_default(field)} | {means} |\n")
    return "".join(rows)


def _values(name: str, field: FieldInfo) -> str:
    limits = {
        key: getattr(rule, key) for rule in field.metadata for key in ("ge", "gt", "le", "lt") if hasattr(rule, key)
    }
    if name == "network":
        return "name or section"
    if isinstance(field.annotation, UnionType) and Section in getattr(get_args(field.annotation)[0], "__mro__", ()):
        return "section"
    return _kind(field.annotation, limits)


def _kind(kind: Any, limits: dict[str, float]) -> str:
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Literal:
        return ", ".join(str(value) if isinstance(value, int) else f"`{value}`" for value in inside)
    if origin is Annotated:
        return _kind(inside[0], limits)
    if origin in (UnionType, Union):
        return f"{_kind(inside[0], limits)}, or none"
    if origin is tuple:
        return f"list of {'numbers' if inside[0] is float else 'names'}"
    if kind is bool:
        return "true, false"
    if kind is str:
        return "text"
    return f"{'whole number' if kind is int else 'number'}{_range(limits)}"


def _range(limits: dict[str, float]) -> str:
    if limits.keys() == {"ge", "le"}:
        return f" from {limits['ge']:g} to {limits['le']:g}"
    words = {"ge": "from {:g}", "gt": "above {:g}", "le": "up to {:g}", "lt": "below {:g}"}
    said = [words[key].format(value) for key, value in limits.items()]
    return f" {', '.join(said)}" if said else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    if field.default is None or field.default == ():
        return "none"
    if isinstance(field.default, float):
        return f"{field.default:g}"
    return json.dumps(field.default).strip('"')


@pytest.mark.parametrize(("key", "section"), _sections().items(), ids=lambda value: str(value) or "recipe")
def test_the_page_has_a_row_for_each_key_as_the_code_has_it(key: str, section: type[Section]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    heading = f"## `{key}`" if key else "## The recipe itself"
    assert heading in page
    rows = page.split(heading, 1)[1].split(HEADER, 1)[1].split("\n\n", 1)[0]
    assert rows.splitlines() == _rows(section).splitlines(), f"wanted in {PAGE}:\n{_rows(section)}"


def test_the_page_knows_no_other_section() -> None:
    assert re.findall(r"^## `(\w+)`$", PAGE.read_text(encoding="utf-8"), re.MULTILINE) == [
        key for key in _sections() if key
    ]


def test_the_keys_of_a_spelled_out_network_are_on_the_page_about_networks() -> None:
    """Its tables are in prose; none of the keys may be missing."""
    page = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
    for block in (ConvBlock, AffineBlock, PlainCNN):
        for field in fields(block):
            assert f"`{field.name}`" in page or field.name in ("convs", "affines"), field.name


def test_the_recipe_on_the_page_is_one(tmp_path: Path) -> None:
    """A recipe without a base: what it leaves out has the page's defaults."""
    spelled = PAGE.read_text(encoding="utf-8").split("```yaml\n", 1)[1].split("```", 1)[0]
    (tmp_path / "my-recipe.yaml").write_text(spelled)
    recipe = load_recipe(str(tmp_path / "my-recipe.yaml"))
    assert recipe.schedule == Recipe.model_fields["schedule"].default
