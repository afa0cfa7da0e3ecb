"""The flow of an evaluation: a run folder or a model file, and a split -> an Evaluation."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mien.card import ModelCard
from mien.classifier import Classifier
from mien.data.faceset import FaceSet, open_faceset
from mien.errors import ModelError
from mien.evaluation.metrics import Evaluation, score
from mien.evaluation.private_log import PRIVATE_TEST, check_log, log_look
from mien.evaluation.views import views
from mien.files import sha256
from mien.training.run_folder import RunFolder, TorchClassifier
from mien.weights import bundled_models

BATCH = 256


class FaceClassifier(Protocol):
    """Anything that turns faces into probabilities and says what it is."""

    @property
    def card(self) -> ModelCard:
        """What the model says of itself."""

    def probabilities(self, faces_u8: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return (N, labels) for (N, face_px, face_px[, 3]) uint8 faces."""


def evaluate(
    model: str, *, data: Path, split: str, view_count: int = 1, progress: Callable[[float], None] = lambda share: None
) -> Evaluation:
    """Evaluate a model on one split, and log the look if the split is PrivateTest.

    Args:
        model: A run folder, a model file or a bundled model's name.
        data: Folder of a prepared FaceSet.
        split: Name of one of its splits.
        view_count: Test-time views of each face, whose probabilities are averaged: 1, 2 or 10.
        progress: Called now and then with the share of the faces done, 0-1.

    Raises:
        DataError: The FaceSet is broken, has no such split, or faces of another size.
        ModelError: No such model, or one with other classes.
        TrainingError: A run that has not finished.
    """
    faces = open_faceset(data).split(split)
    name, classifier, weights = open_classifier(model)
    check_fit(classifier.card, faces)
    if split == PRIVATE_TEST:
        check_log()  # a look that cannot be logged is not taken
    probabilities = predict(classifier, faces, view_count, progress)
    evaluation = score(
        probabilities,
        faces.labels,
        faces.label_names,
        model=name,
        data=faces.name,
        split=split,
        views=view_count,
    )
    if split == PRIVATE_TEST:
        log_look(evaluation, classifier.card, model_sha256=sha256(weights))
    return evaluation


def open_classifier(model: str) -> tuple[str, FaceClassifier, Path]:
    """Return a model's name (of its run folder or file), itself, ready to be asked, and the file of its weights."""
    if model not in bundled_models() and Path(model).is_dir():
        run = RunFolder(Path(model))
        return run.path.resolve().name, TorchClassifier(run), run.checkpoint_path
    classifier = Classifier(model, threads=2)
    return classifier.path.stem, classifier, classifier.path


def check_fit(card: ModelCard, faces: FaceSet) -> None:
    """Raise ModelError or DataError unless the model knows the faces' classes and takes their size."""
    if set(card.labels) != set(faces.label_names):
        raise ModelError(
            f"Model {card.name} knows {', '.join(card.labels)}, and {faces.name} has {', '.join(faces.label_names)}; "
            "evaluate it on faces with the same classes."
        )
    faces.check_fits(card.input, f"Model {card.name}")


def predict(
    classifier: FaceClassifier, faces: FaceSet, view_count: int, progress: Callable[[float], None]
) -> NDArray[np.float32]:
    """Return (N, K) probabilities, the mean over the views, columns in the order of the FaceSet's labels."""
    batches = []
    for start in range(0, len(faces), BATCH):
        batch = views(faces.faces_u8[start : start + BATCH], classifier.card.input, view_count)
        batches.append(np.mean([classifier.probabilities(view) for view in batch], axis=0))
        progress(min(1.0, (start + BATCH) / len(faces)))
    columns = [classifier.card.labels.index(name) for name in faces.label_names]
    return np.concatenate(batches)[:, columns]
