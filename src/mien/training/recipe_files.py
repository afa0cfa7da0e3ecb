"""Where recipes lie and how one is read: a YAML file, those it is based on, and `key=value` overrides.

In: what the user typed.  Out: a Recipe.
"""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from mien.errors import RecipeError, unknown_name
from mien.models.registry import networks
from mien.training.recipe import NETWORK_KINDS, Recipe
from mien.training.yaml_files import first_problem, is_yaml, read_yaml


def recipe_files() -> dict[str, Path]:
    """Return the package's recipes, by name."""
    folder = Path(str(files("mien") / "recipes"))
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(folder.rglob("*.yaml"))}


def load_recipe(name_or_path: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        name_or_path: One of the package's recipes, or the path of a YAML file.
        overrides: `key=value` each, dotted for sections: ``optimiser.lr=0.01``.

    Raises:
        RecipeError: No such recipe, an unknown key, or a value that the key cannot have.
    """
    path, content = _read(name_or_path)
    for override in overrides:
        _override(content, override)
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise RecipeError(f"Recipe {path.stem}: {first_problem(error, Recipe, tags=NETWORK_KINDS)}") from error


def _read(name_or_path: str, above: tuple[Path, ...] = ()) -> tuple[Path, dict[str, Any]]:
    """Return a recipe's file and content; where it names a `base`, that of the base with its own on top.

    Args:
        name_or_path: One of the package's recipes, or a path; that of a base is seen from the recipe that names it.
        above: That recipe and those that it is the base of.
    """
    known = recipe_files()
    path = known.get(name_or_path, (above[-1].parent if above else Path()) / name_or_path)
    whose = f"Recipe {above[-1].stem}: base: " if above else ""
    if path.resolve() in above:
        raise RecipeError(f"{whose}{name_or_path} is this recipe itself, or one that is based on it; name another.")
    if not path.is_file():
        if is_yaml(path):
            raise RecipeError(f"{whose}There is no recipe file {path}; check the spelling, or see `mien train --list`.")
        network = (
            f" {name_or_path} is a network; a recipe trains it, as in: mien train mien-s --set network={name_or_path}."
            if name_or_path in networks()
            else ""
        )
        raise RecipeError(f"{whose}{unknown_name('recipe', name_or_path, known)}{network}")
    content = read_yaml(path, RecipeError)
    if not isinstance(content, dict):
        raise RecipeError(f"{path} is not a recipe; wanted `key: value` lines, as in the recipe mien-s.")
    if "base" not in content:
        return path, content
    base = content.pop("base")
    return path, _merged(_read(str(base), (*above, path.resolve()))[1], content)


def _merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Return the base with the change on top, section by section; a network is replaced whole."""
    merged = dict(base)
    for key, value in change.items():
        below = merged.get(key)
        if isinstance(value, dict) and isinstance(below, dict) and key != "network":
            merged[key] = _merged(below, value)
        else:
            merged[key] = value
    return merged


def _override(content: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise RecipeError(f"--set takes key=value, as in optimiser.lr=0.01; got {override!r}.")
    *sections, last = key.split(".")
    for section in sections:
        if content.get(section) is None:  # a run's recipe says `start: null`
            content[section] = {}
        content = content[section]
        if not isinstance(content, dict):
            raise RecipeError(
                f"--set {override}: {section} is a single value, not a section; docs/recipes.md lists the keys."
            )
    try:
        content[last] = yaml.safe_load(value)
    except yaml.YAMLError:
        raise RecipeError(f"--set {override}: {value!r} is neither a number, a word nor a list.") from None
