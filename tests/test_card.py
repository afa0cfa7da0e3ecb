import json

import pytest

from mien.card import Calibration, ModelCard, Provenance, Score
from mien.classifier import Classifier
from mien.errors import ModelError
from mien.preprocess import InputSpec
from mien.weights import bundled_models

CARD = ModelCard(
    name="recipe",
    network="net",
    labels=("a", "b"),
    input=InputSpec(48, 44, 1, (0.5,), (0.25,)),
    parameters=10,
    macs=20,
    calibration=Calibration(1.5, 0.4, 0.8, 0.1, 0.02, "PublicTest", 100),
    provenance=Provenance("recipe", "ab", "FER2013", "cd", "ef", 0, 3),
    score=Score("PublicTest", 100, 0.7, (0.6, None)),
)


def test_a_card_comes_back_from_its_own_text() -> None:
    assert ModelCard.from_json(CARD.to_json(), source="x.onnx") == CARD


def test_a_card_without_calibration_comes_back() -> None:
    plain = ModelCard(**{name: getattr(CARD, name) for name in CARD.__slots__} | {"calibration": None})
    assert ModelCard.from_json(plain.to_json(), source="x.onnx") == plain


def test_a_card_of_another_version_is_refused() -> None:
    text = json.dumps(CARD.as_dict() | {"version": 99})
    with pytest.raises(ModelError, match=r"x\.onnx has a card of version 99, and this mien reads version 1"):
        ModelCard.from_json(text, source="x.onnx")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 1}', "not json"])
def test_a_broken_card_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        ModelCard.from_json(text, source="x.onnx")


def test_our_own_models_state_their_licence_and_no_other_has_it() -> None:
    assert {Classifier(name).card.licence for name in bundled_models()} == {"Apache-2.0"}
    assert CARD.licence == "not stated"
