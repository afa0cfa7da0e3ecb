"""Whatever can be judged (a run folder, a model file, somebody else's model, several together) -> a Candidate.

In: what the user typed.  Out: its name, its labels, a function from faces to probabilities, and what it costs.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mien.card import ModelCard, Provenance
from mien.classifier import Classifier
from mien.data.faceset import FaceSet
from mien.errors import DataError, ModelError
from mien.evaluation.foreign import ForeignModel
from mien.files import sha256
from mien.preprocess import InputSpec
from mien.training.run_folder import RunFolder
from mien.training.torch_classifier import TorchClassifier
from mien.training.yaml_files import is_yaml
from mien.weights import bundled_models

THREADS = os.cpu_count() or 1  # of a model that is asked for its predictions
Ask = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""(N, S, S[, 3]) uint8 faces as a FaceSet has them -> (N, labels) float32 probabilities."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A model that can be judged.

    Attributes:
        name: Of its run folder or file.
        labels: Expressions, in the order of its outputs.
        ask: Open it with so many threads.
        input: What its network takes; None for somebody else's model, which takes any face.
        unsure_below: Its threshold of "unsure"; None if it never says so.
        parameters: Values in the network.
        macs: Multiply-accumulates for one face; None if they cannot be counted.
        weights: The files of its weights: one, or one for each member of an ensemble.
        provenance: How it was made, where that is known.
        fitted_on: Name of the split that its calibration was fitted on; None if it has none.
        run: Its run folder, if it is one.
    """

    name: str
    labels: tuple[str, ...]
    ask: Callable[[int], Ask]
    input: InputSpec | None
    unsure_below: float | None
    parameters: int
    macs: int | None
    weights: tuple[Path, ...]
    provenance: Provenance | None
    fitted_on: str | None = None
    run: RunFolder | None = None

    @property
    def sha256(self) -> str:
        """Hash of its weights; of an ensemble, of its members' hashes."""
        hashes = [sha256(path) for path in self.weights]
        return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()

    @property
    def file_bytes(self) -> int | None:
        """Size of its files; None where one is a run's checkpoint, which holds an optimiser too."""
        if any(path.suffix == ".ckpt" for path in self.weights):
            return None
        return sum(path.stat().st_size for path in self.weights)

    def check_fits(self, faces: FaceSet) -> None:
        """Raise ModelError or DataError unless the model knows the faces' classes and takes their size."""
        if len(faces.label_names) < 2:
            raise DataError(
                f"All faces of {faces.name} are {faces.label_names[0]}, so that every answer would be right; evaluate "
                "on faces of two classes or more."
            )
        if missing := [name for name in faces.label_names if name not in self.labels]:
            raise ModelError(
                f"Model {self.name} knows {', '.join(self.labels)}, and {faces.name} also has {', '.join(missing)}; "
                "evaluate it on faces of classes that it knows."
            )
        if self.input is not None:
            faces.check_fits(self.input, f"Model {self.name}")


def open_candidates(models: Sequence[str]) -> list[Candidate]:
    """Open models, each with a name of its own.

    Raises:
        ModelError: No such model, or one given twice.
        TrainingError: A run that has not finished.
    """
    if twice := [model for model in models if models.count(model) > 1]:
        raise ModelError(f"{twice[0]} is given twice; give each model once.")
    candidates = [open_candidate(model) for model in models]
    names = [candidate.name for candidate in candidates]
    # Two folders may each hold a run of the same name: then each is called by so many folders as tell them apart.
    return [
        candidate if names.count(candidate.name) == 1 else replace(candidate, name=name)
        for name, candidate in zip(_told_apart(models), candidates, strict=True)
    ]


def _told_apart(models: Sequence[str]) -> list[str]:
    """Return the shortest ends of paths that differ from one another."""
    parts = [Path(model).parts for model in models]
    for depth in range(2, max(map(len, parts))):
        ends = ["/".join(part[-depth:]) for part in parts]
        if len(set(ends)) == len(ends):
            return ends
    return list(models)


def open_candidate(model: str) -> Candidate:
    """Open a run folder, a model file, a bundled model by its name, or the YAML file of somebody else's model."""
    if is_yaml(Path(model)):
        return _foreign(Path(model))
    if model not in bundled_models() and Path(model).is_dir():
        return _run(RunFolder(Path(model)))
    classifier = Classifier(model, threads=THREADS)
    return _ours(
        classifier.card,
        name=classifier.path.stem,
        ask=lambda threads: Classifier(model, threads=threads).probabilities,
        weights=classifier.path,
    )


def ensemble(members: Sequence[Candidate]) -> Candidate:
    """Return the candidate whose answer is the mean of its members' probabilities.

    Raises:
        ModelError: There are fewer than two, or they differ in their classes or in what they take.
    """
    if len(members) < 2:
        raise ModelError("--ensemble needs two models or more; name them all.")
    first = members[0]
    for other in members[1:]:
        if (other.labels, other.input) != (first.labels, first.input):
            raise ModelError(
                f"Models {first.name} and {other.name} differ in their classes, their order or their input; "
                "name models that agree in these, or leave out --ensemble."
            )

    def ask(threads: int) -> Ask:
        asks = [member.ask(threads) for member in members]
        return lambda faces_u8: np.asarray(np.mean([one(faces_u8) for one in asks], axis=0), np.float32)

    macs = [member.macs for member in members if member.macs is not None]
    return Candidate(
        name=f"ensemble of {len(members)}",
        labels=first.labels,
        ask=ask,
        input=first.input,
        unsure_below=None,
        parameters=sum(member.parameters for member in members),
        macs=sum(macs) if len(macs) == len(members) else None,
        weights=tuple(path for member in members for path in member.weights),
        provenance=None,
    )


def _run(run: RunFolder) -> Candidate:
    classifier = TorchClassifier(run)

    def ask(threads: int) -> Ask:
        def probabilities(faces_u8: NDArray[np.uint8]) -> NDArray[np.float32]:
            before = torch.get_num_threads()
            torch.set_num_threads(threads)
            try:
                return classifier.probabilities(faces_u8)
            finally:
                torch.set_num_threads(before)

        return probabilities

    name = run.path.resolve().name
    return replace(_ours(classifier.card, name=name, ask=ask, weights=run.checkpoint_path), run=run)


def _ours(card: ModelCard, *, name: str, ask: Callable[[int], Ask], weights: Path) -> Candidate:
    return Candidate(
        name=name,
        labels=card.labels,
        ask=ask,
        input=card.input,
        unsure_below=card.calibration.unsure_below if card.calibration else None,
        parameters=card.parameters,
        macs=card.macs,
        weights=(weights,),
        provenance=card.provenance,
        fitted_on=card.calibration.split if card.calibration else None,
    )


def _foreign(path: Path) -> Candidate:
    model = ForeignModel(path, threads=THREADS)
    return Candidate(
        name=path.stem,
        labels=model.labels,
        ask=lambda threads: ForeignModel(path, threads=threads).probabilities,
        input=None,
        unsure_below=None,
        parameters=model.parameters,
        macs=model.macs,
        weights=(model.weights,),
        provenance=None,
    )
