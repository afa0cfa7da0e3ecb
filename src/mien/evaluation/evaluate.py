"""The flow of an evaluation: models and a split -> what was found, and the predictions behind it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.faceset import FaceSet, open_faceset
from mien.data.split import PRIVATE_TEST, is_private_test
from mien.errors import DataError
from mien.evaluation.candidates import THREADS, Ask, Candidate, ensemble, open_candidates
from mien.evaluation.comparison import compare, macro_f1_interval, over_seeds
from mien.evaluation.cost import measure_costs
from mien.evaluation.leaks import few_groups, may_have_learnt, same_splits
from mien.evaluation.metrics import score
from mien.evaluation.private_log import check_log, log_look
from mien.evaluation.results import LearningCurve, ModelResults, Results, Setting
from mien.evaluation.stress import CONDITIONS, SEED, Condition, StressScore, score_stress
from mien.evaluation.subgroups import by_attribute
from mien.evaluation.subsets import score_subsets
from mien.evaluation.views import check_views, views
from mien.preprocess import InputSpec
from mien.training.environment import processor

BATCH = 256


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """An evaluation with what it was made from.

    Attributes:
        results: What was found.
        faces: The split's faces, N of them.
        probabilities: By name of the model, (N, K), columns in the order of the faces' label names.
    """

    results: Results
    faces: FaceSet
    probabilities: dict[str, NDArray[np.float32]]


def evaluate(
    models: Sequence[str],
    *,
    data: Path,
    split: str,
    view_count: int = 1,
    timed: bool = False,
    stressed: bool = False,
    together: bool = False,
    choosing: bool = False,
    progress: Callable[[str, float], None] = lambda what, share: None,
) -> Judged:
    """Evaluate models on one split, side by side, and log each look if the split is PrivateTest.

    Args:
        models: Run folders, model files, bundled models' names, or YAML files of other people's models.
        data: Folder of a prepared FaceSet.
        split: Name of one of its splits.
        view_count: Test-time views of each face, whose probabilities are averaged: 1, 2 or 10.
        timed: Whether to measure latency and throughput too.
        stressed: Whether to ask about the faces under each condition of `stress` too.
        together: Whether to judge the mean of the models' probabilities too, as an ensemble.
        choosing: Whether several models may be compared on PrivateTest.
        progress: Called now and then with what is going on and the share of it that is done, 0-1.

    Raises:
        DataError: The FaceSet is broken, has no such split, or faces of another size; or PrivateTest would choose.
        ModelError: No such model, one that does not know the faces' classes, or models that make no ensemble.
        TrainingError: A run that has not finished.
    """
    everything = open_faceset(data)
    faces = everything.split(split)
    candidates = open_candidates(models)
    if together:
        candidates = [*candidates, ensemble(candidates)]
    for candidate in candidates:
        candidate.check_fits(faces)
        check_views(view_count, _input(candidate, faces), f"Model {candidate.name}")
    private = is_private_test(faces.name, split)
    if private:
        if len(candidates) > 1 and not choosing:
            raise DataError(
                f"Comparing {len(candidates)} models on {PRIVATE_TEST} amounts to choosing by it; compare them on "
                "PublicTest, or say --i-know: each look is logged."
            )
        check_log()  # a look that cannot be logged is not taken
    probabilities, found = {}, []
    for k, candidate in enumerate(candidates):
        of_model = _part(progress, k, len(candidates))
        first_part = _part(of_model, 0, 1 + len(CONDITIONS)) if stressed else of_model
        probabilities[candidate.name] = predict(candidate, faces, view_count, first_part)
        found.append(judge(candidate, probabilities[candidate.name], faces, everything, view_count))
        if stressed:
            called_clean = probabilities[candidate.name].argmax(1)
            found[-1] = replace(found[-1], stress=under_stress(candidate, faces, called_clean, view_count, of_model))
        if private:
            log_look(found[-1].evaluation, candidate.provenance, model_sha256=found[-1].sha256)
    called = {name: p.argmax(1) for name, p in probabilities.items()}
    results = Results(
        setting=Setting(
            data=faces.name,
            data_sha256=faces.sha256,
            split=split,
            n=len(faces),
            views=view_count,
            labels=faces.label_names,
            date=datetime.now(UTC).date().isoformat(),
            mien=version("mien"),
            processor=processor(),
        ),
        models=tuple(found),
        costs=measure_costs(candidates, faces, timed=timed, progress=lambda share: progress("Timing", share)),
        comparisons=compare(called, faces.labels, classes=len(faces.label_names)),
        over_seeds=over_seeds(candidates, [one.evaluation for one in found]),
        warnings=tuple(
            sentence
            for sentence in (*(may_have_learnt(one, faces, split) for one in candidates), few_groups(faces))
            if sentence
        ),
    )
    return Judged(results, faces, probabilities)


def judge(
    candidate: Candidate, probabilities: NDArray[np.float32], faces: FaceSet, everything: FaceSet, view_count: int
) -> ModelResults:
    """Return what (N, K) probabilities of the faces of a split say about a model; `everything` is the whole FaceSet."""
    called, made = probabilities.argmax(1), candidate.provenance
    split = everything.split_names[faces.splits[0]]
    return ModelResults(
        evaluation=score(
            probabilities,
            faces.labels,
            faces.label_names,
            model=candidate.name,
            data=faces.name,
            split=split,
            views=view_count,
            unsure_below=candidate.unsure_below,
        ),
        macro_f1=macro_f1_interval(called, faces.labels, classes=len(faces.label_names)),
        subsets=score_subsets(called, faces, everything),
        subgroups=by_attribute(called == faces.labels, faces.attributes),
        left_out=tuple(name for name in candidate.labels if name not in faces.label_names),
        sha256=candidate.sha256,
        learning_curve=_learning_curve(candidate),
        fitted_here=made is not None
        and candidate.fitted_on == split
        and same_splits(made.data, made.data_sha256, everything),
    )


def under_stress(
    candidate: Candidate,
    faces: FaceSet,
    called_clean: NDArray[np.integer],
    view_count: int,
    progress: Callable[[str, float], None],
) -> tuple[StressScore, ...]:
    """Return how a model does under each condition, beside the (N,) classes that it called the faces as they are."""
    return tuple(
        score_stress(
            condition,
            predict(candidate, faces, view_count, _part(progress, k, 1 + len(CONDITIONS)), condition).argmax(1),
            called_clean,
            faces.labels,
            classes=len(faces.label_names),
        )
        for k, condition in enumerate(CONDITIONS, 1)  # the faces as they are were part 0
    )


def _part(progress: Callable[[str, float], None], k: int, parts: int) -> Callable[[str, float], None]:
    """Return what tells of the work's k-th of several equal parts, counted from 0, how much of the whole is done."""
    return lambda what, share: progress(what, (k + share) / parts)


def _input(candidate: Candidate, faces: FaceSet) -> InputSpec:
    """Return what a model sees of the faces; somebody else's sees the whole crop."""
    return candidate.input or InputSpec.of_crop(faces.faces_u8.shape[1], 1)


def predict(
    candidate: Candidate,
    faces: FaceSet,
    view_count: int,
    progress: Callable[[str, float], None],
    condition: Condition | None = None,
) -> NDArray[np.float32]:
    """Return (N, K) probabilities, the mean over the views, columns in the order of the FaceSet's labels.

    The faces are as they are, or under a condition.
    """
    ask, spec = candidate.ask(THREADS), _input(candidate, faces)
    what = f"Evaluating {candidate.name}{f', {condition.name}' if condition else ''}"
    batches, random = [], np.random.default_rng(SEED)
    for start in range(0, len(faces), BATCH):
        batch = np.asarray(faces.faces_u8[start : start + BATCH])
        if condition is not None:
            batch = condition.change(batch, random)
        batches.append(_mean_over_views(ask, batch, spec, view_count))
        progress(what, min(1.0, (start + BATCH) / len(faces)))
    columns = [candidate.labels.index(name) for name in faces.label_names]
    of_classes = np.concatenate(batches)[:, columns]
    if len(columns) == len(candidate.labels):
        return of_classes
    shared_out = of_classes + np.float32(1e-9)  # a model that is certain of a class left out is certain of nothing else
    return np.asarray(shared_out / shared_out.sum(1, keepdims=True), np.float32)


def _mean_over_views(ask: Ask, faces_u8: NDArray[np.uint8], spec: InputSpec, view_count: int) -> NDArray[np.float32]:
    return np.asarray(np.mean([ask(view) for view in views(faces_u8, spec, view_count)], axis=0), np.float32)


def _learning_curve(candidate: Candidate) -> LearningCurve | None:
    if candidate.run is None:
        return None
    rows = candidate.run.metrics()
    columns = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
    return LearningCurve(*(tuple(float(row[column]) for row in rows) for column in columns))
