"""ModelCard: what a model file says of itself, kept inside the file.

In: an ONNX file's metadata.  Out: everything needed to use the model and to judge it: the order of
its labels, its input, its calibration, how it was made, how good it measured, what it must not be used for.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelError
from mien.preprocess import InputSpec

METADATA_KEY = "mien.card"  # the entry of ONNX metadata_props that holds the card as JSON
CARD_VERSION = 1

NOT_STATED = "not stated"  # a model is its maker's; nobody else can license it
LIMITS = (
    "An expression is not a feeling: this model names what a face shows, not what a person feels. "
    "Labels of faces are noisy, those it learnt from too, and it errs more often on some expressions and some people "
    "than on others. Inferring emotions at work or at school is prohibited in the EU (AI Act, Art. 5(1)(f)). "
    "Do not use it to judge, hire, grade, police or diagnose anybody."
)


@dataclass(frozen=True, slots=True)
class Calibration:
    """How a model's probabilities were made to mean what they say (Guo et al. 2017, section 4.2).

    Attributes:
        temperature: Logits are divided by it before the softmax.
        unsure_below: A top probability below this is reported as "unsure".
        coverage: Share of the calibration faces at or above that threshold, 0-1.
        ece_before: Expected calibration error over 15 bins without the temperature, 0-1.
        ece_after: The same with it.
        split: The faces it was fitted on.
        n: How many they were.
    """

    temperature: float
    unsure_below: float
    coverage: float
    ece_before: float
    ece_after: float
    split: str
    n: int


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a model comes from; enough to train it again.

    Attributes:
        recipe: Name of the recipe.
        recipe_sha256: Hash of the recipe with every override applied.
        data: Name of the training data.
        data_sha256: Hash of the FaceSet.
        commit: Git commit of the code that trained it, "+" at the end if files had changed; or "unknown".
        seed: Seed of the run.
        epochs: Epochs trained.
        start: What its first weights were: "scratch", or the name and hash of a file of pretrained ones.
    """

    recipe: str
    recipe_sha256: str
    data: str
    data_sha256: str
    commit: str
    seed: int
    epochs: int
    start: str = "scratch"


@dataclass(frozen=True, slots=True)
class Score:
    """Measured accuracy on one split.

    Attributes:
        split: Name of the split.
        n: Faces in it.
        accuracy: Share right, single view, 0-1.
        recall: Share right of each class, in the order of the card's labels; None where a class has no face.
    """

    split: str
    n: int
    accuracy: float
    recall: tuple[float | None, ...]

    @classmethod
    def measured(cls, logits: NDArray[np.float32], labels: NDArray[np.integer], *, split: str) -> "Score":
        """Measure (N, K) logits of faces with (N,) labels that index the K classes."""
        right = logits.argmax(1) == labels
        members = [labels == k for k in range(logits.shape[1])]
        return cls(
            split=split,
            n=len(labels),
            accuracy=float(right.mean()),
            recall=tuple(float(right[of_class].mean()) if of_class.any() else None for of_class in members),
        )


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model file says of itself.

    Attributes:
        name: Name of the recipe that made it; with -int8 for a file of 8 bits.
        network: Name of its network.
        labels: Expressions, in the order of the model's outputs.
        input: What the network takes.
        parameters: Number of values in the network, frozen ones included, with one head of so many outputs as the
            data has labels: a second one, on votes, is not counted.
        macs: Multiply-accumulate operations for one face.
        calibration: None if the model was not calibrated: then nothing is ever "unsure".
        provenance: How it was made.
        score: How it measured on the split it was chosen by.
        licence: Licence of the weights, as whoever made the file stated it.
        limits: What it cannot do and must not be used for.
    """

    name: str
    network: str
    labels: tuple[str, ...]
    input: InputSpec
    parameters: int
    macs: int
    calibration: Calibration | None
    provenance: Provenance
    score: Score
    licence: str = NOT_STATED
    limits: str = LIMITS

    def as_dict(self) -> dict[str, Any]:
        """Return the card as plain dicts and lists."""
        return {"version": CARD_VERSION, **asdict(self)}

    def to_json(self) -> str:
        """Return the card as JSON text."""
        return json.dumps(self.as_dict())

    @classmethod
    def from_json(cls, text: str, *, source: str) -> "ModelCard":
        """Read a card.

        Args:
            text: What `to_json` gave.
            source: The file it came from, for the error message.

        Raises:
            ModelError: The text is not a card of this version.
        """
        try:
            card = json.loads(text)
            version = card.pop("version")
            if version != CARD_VERSION:
                raise ModelError(
                    f"{source} has a card of version {version}, and this mien reads version {CARD_VERSION}; "
                    "update mien, or export the model again."
                )
            calibration = card.pop("calibration")
            return cls(
                labels=tuple(card.pop("labels")),
                input=InputSpec(**_tuples(card.pop("input"))),
                calibration=Calibration(**calibration) if calibration else None,
                provenance=Provenance(**card.pop("provenance")),
                score=Score(**_tuples(card.pop("score"))),
                **card,
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"{source} has a card that cannot be read ({error}); export the model again.") from error


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
