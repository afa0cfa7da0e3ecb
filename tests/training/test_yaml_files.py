from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mien.errors import RecipeError
from mien.evaluation.foreign import ForeignDescription
from mien.studies.study import Study, load_study
from mien.training.recipe import NETWORK_KINDS, Recipe
from mien.training.recipe_files import load_recipe
from mien.training.yaml_files import first_problem, read_yaml

WRONG: tuple[Any, ...] = (
    "many",
    "",
    -7,
    1e9,
    0.5,
    None,
    [],
    ["x"],
    [None],
    [{}],
    [{"what": 1}],
    {},
    {"what": 1},
    {"convs": 5},
    {"convs": [{"out": "x"}], "affines": []},
    {"a": {"what": 1}},
    {"a": 5},
)
INNER_WORDS = ("Input", "a valid", "Value error", "Field", "something else", "dict", "tuple", "instance", "extra", "{")


PEER = {"model": "x.onnx", "input": {"size": 48, "colour": "grey", "layout": "nchw"}, "labels": ["happy", "sad"]}


@pytest.mark.parametrize(
    ("whole", "good"),
    [
        (Recipe, load_recipe("mien-s").model_dump(mode="json")),
        (Study, load_study("barbagallo").model_dump(mode="json")),
        (ForeignDescription, {**PEER, "outputs": "logits"}),
    ],
)
def test_no_wrong_value_is_answered_in_the_words_of_a_library(whole: Any, good: dict[str, Any]) -> None:
    places: list[Callable[[Any], dict[str, Any]]] = [lambda value: value]
    for key, field in whole.model_fields.items():
        places.append(lambda value, key=key: {**good, key: value})
        for below in getattr(field.annotation, "model_fields", ()):
            places.append(lambda value, key=key, below=below: {**good, key: {**(good[key] or {}), below: value}})
    sentences = set()
    for place in places:
        for value in WRONG:
            try:
                whole.model_validate(place(value))
            except ValidationError as error:
                sentences.add(first_problem(error, whole, tags=NETWORK_KINDS))
    assert len(sentences) > 20
    for sentence in sentences:
        said = sentence.partition(" (got ")[0]
        assert not [word for word in INNER_WORDS if word in said], sentence
        assert sentence.endswith((".", "?")), sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\nb: c: 2\n", r"r\.yaml is not YAML from line 2 on \('b: c: 2'\); look there and in the line above"),
        ("a: [1\n", "is not YAML from line 1 on"),
        ("a:\n\tb: 1\n", r"is not YAML from line 2 on \('b: 1'\)"),
        ("a: *b", "is not YAML from line 1 on"),
        ("a: !!python/object:b.c {}", "is not YAML from line 1 on"),
        ("a: \x00", "is not YAML: it is not plain text; save it as UTF-8"),
        (b"a: \xff", "is not YAML: it is not plain text"),
    ],
)
def test_a_file_that_is_no_yaml_says_where_in_plain_words(tmp_path: Path, text: str | bytes, sentence: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(RecipeError, match=sentence) as raised:
        read_yaml(path, RecipeError)
    assert "\n" not in str(raised.value)
