"""YAML that people write (recipes, studies, descriptions of peers), and what is wrong with it in plain words.

In: a file, or what pydantic says of its content.  Out: its content, or one sentence.
"""

from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError

from mien.errors import MienError, unknown_name

SAID = {  # by pydantic's name of a problem
    "missing": "is missing",
    "missing_argument": "is missing",
    "literal_error": "must be {expected}",
    "greater_than_equal": "must be {ge} or more",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be {le} or less",
    "less_than": "must be less than {lt}",
    "too_short": "needs {min_length} or more in its list",
    "string_too_short": "must not be empty",
}
WANTED = {  # by the first word of that name
    "int": "a whole number",
    "float": "a number",
    "string": "text",
    "bool": "true or false",
    "tuple": "a list",
    "dict": "`key: value` lines",
    "model": "`key: value` lines",
    "dataclass": "`key: value` lines",
}


def is_yaml(path: Path) -> bool:
    """Return whether a file's name says so."""
    return path.suffix in (".yaml", ".yml")


def read_yaml(path: Path, kind: type[MienError]) -> Any:
    """Return what a YAML file holds; raises the given kind of error if it is none."""
    try:
        text = path.read_text(encoding="utf-8")
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        assert mark is not None
        lines = text.splitlines()
        number = min(mark.line + 1, len(lines))  # it may stand behind the end
        raise kind(
            f"{path} is not YAML from line {number} on ({lines[number - 1].strip()!r}); look there and in the line "
            "above for the indent (spaces, no tabs), quotes, brackets, and a space after each colon."
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise kind(f"{path} is not YAML: it is not plain text; save it as UTF-8.") from error


def first_problem(error: ValidationError, root: type, *, tags: Collection[str] = ()) -> str:
    """Return a sentence on the first thing that is wrong.

    Args:
        error: What pydantic found.
        root: What the whole was to be, for the keys that there are beside an unknown one.
        tags: Names of a union's kinds, which are no keys.
    """
    problem = error.errors()[0]
    place = [part for part in problem["loc"] if part not in tags]
    if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return unknown_name("key", str(place[-1]), _keys_at(root, place[:-1]))
    key = ".".join(map(str, place))
    if problem["type"] == "value_error":  # a sentence of our own
        return f"{key}: {problem['ctx']['error']}." if key else f"{problem['ctx']['error']}."
    wanted = WANTED.get(problem["type"].split("_")[0], "something else")
    said = SAID.get(problem["type"], f"must be {wanted}").format(**problem.get("ctx", {}))
    value = problem["input"]
    got = "" if said == SAID["missing"] or isinstance(value, Mapping) else f" (got {value!r})"
    return f"{key or 'the file'} {said}{got}."


def _keys_at(section: Any, place: Collection[int | str]) -> list[str]:
    """Return the keys of the section at a place below another; numbers and names in between are no sections."""
    for part in place:
        section = _section_in(_kinds(section).get(str(part))) or section
    return list(_kinds(section))


def _kinds(section: Any) -> dict[str, Any]:
    """Return what each key of a section takes."""
    if is_dataclass(section):
        return {field.name: field.type for field in fields(section)}
    return {name: field.annotation for name, field in section.model_fields.items()}


def _section_in(kind: Any) -> Any:
    """Return the section that a type is, or is made of: Column of tuple[Column, ...]; None if there is none."""
    if isinstance(kind, type) and (hasattr(kind, "model_fields") or is_dataclass(kind)):
        return kind
    return next((found for part in get_args(kind) if (found := _section_in(part))), None)
