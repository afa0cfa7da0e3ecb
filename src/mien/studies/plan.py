"""A study -> its trainings: every variant with every combination of the grid and every seed.

In: a Study, a scale, changes.  Out: Planned trainings, each with the recipe that it will be trained by.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from mien.errors import StudyError
from mien.studies.study import Study, Variant
from mien.training.recipe import Recipe
from mien.training.recipe_files import load_recipe
from mien.words import counted

LENGTH_FREE = ("constant", "step", "plateau")
"""Schedules whose rate after an epoch is the same however long the training will be."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A state of a training that a table has a row of, before its end.

    Attributes:
        epochs: Epochs in the study.
        scaled: Epochs after scaling.
    """

    epochs: int
    scaled: int


@dataclass(frozen=True, slots=True)
class Planned:
    """One training of a study.

    Attributes:
        name: Its own, with the seed where there are several.
        of: What tables call it.
        recipe: What is trained, epochs scaled.
        epochs: Epochs of the study, not scaled.
        stages: States before the end that are kept.
    """

    name: str
    of: str
    recipe: Recipe
    epochs: int
    stages: tuple[Stage, ...]

    @property
    def scaled(self) -> bool:
        """Whether it trains for another number of epochs than the study says."""
        return self.recipe.epochs != self.epochs


def plan(study: Study, *, scale: float = 1.0, changes: Sequence[str] = ()) -> tuple[Planned, ...]:
    """Return a study's trainings.

    Args:
        study: The study.
        scale: Share of each training's epochs that is trained; one epoch at least.
        changes: `key=value` each, for every recipe.

    Raises:
        StudyError: A row or winner names no run, or a state that no training goes through.
        RecipeError: A recipe or setting that does not exist.
    """
    if not 0 < scale <= 1:
        raise StudyError(f"--epochs-scale is above 0 and at most 1, as 0.2 is; got {scale:g}.")
    changed = {change.partition("=")[0].strip() for change in changes}
    if "seed" in changed.union(study.grid, *(variant.set for variant in study.variants.values())):
        raise StudyError("A study's seeds are its `seeds: [0, 1, 2]`, for every training; `seed` is no setting of one.")
    if "epochs" in changed:
        raise StudyError("A study's length is changed with --epochs-scale, which marks every number; not with --set.")
    trainings = []
    for name, variant in (study.variants or {"base": Variant()}).items():
        for values in product(*study.grid.values()):
            settings = dict(variant.set) | dict(zip(study.grid, values, strict=True))
            of = "-".join(
                [name, *(f"{key.split('.')[-1]}-{value}" for key, value in zip(study.grid, values, strict=True))]
            )
            overrides = [*(f"{key}={json.dumps(value)}" for key, value in settings.items()), *changes]
            for seed in study.seeds:
                recipe = load_recipe(variant.recipe or study.base, [*overrides, f"seed={seed}"])
                trainings.append(_planned(study, of, recipe, scale))
    study.check_names({training.of for training in trainings})
    watched = {training.of: training.recipe.data.validate_on for training in trainings}
    for claim in study.comparisons:
        if watched[claim.first] != watched[claim.second]:
            raise StudyError(
                f"Study {study.name}, {claim.says!r}: {claim.first} validates on {watched[claim.first]} and "
                f"{claim.second} on {watched[claim.second]}; trainings are compared on the same faces."
            )
    _check_folders(study, trainings)
    return tuple(trainings)


def _planned(study: Study, of: str, recipe: Recipe, scale: float) -> Planned:
    wanted = {row.epochs for table in study.tables for row in table.rows if row.run == of and row.epochs}
    stages = tuple(Stage(epochs, _scaled(epochs, scale)) for epochs in sorted(wanted - {recipe.epochs}))
    if stages:
        if stages[-1].epochs > recipe.epochs:
            raise StudyError(
                f"Study {study.name} has a row of {of} after {counted(stages[-1].epochs, 'epoch')}; it is trained for "
                f"{recipe.epochs}."
            )
        _check_stages(study, of, recipe)
    return Planned(
        name=of if len(study.seeds) == 1 else f"{of}-seed-{recipe.seed}",
        of=of,
        recipe=recipe.model_copy(update={"epochs": _scaled(recipe.epochs, scale)}),
        epochs=recipe.epochs,
        stages=stages,
    )


def _check_folders(study: Study, trainings: Sequence[Planned]) -> None:
    """Raise StudyError unless every training, and every state of one that is kept, has a run folder of its own."""
    taken: set[str] = set()
    for training in trainings:
        if not training.name or training.name.startswith((".", "-")) or set(training.name) & set('/\\:*?"<>|'):
            raise StudyError(
                f"Study {study.name} would train {training.name!r}, which cannot be a folder's name; name its variants "
                "(and write the grid's values) with letters, digits, points and hyphens."
            )
        names = {training.name, *(f"{training.name}-after-{stage.scaled}" for stage in training.stages)}
        if twice := sorted(names & taken):
            raise StudyError(
                f"Study {study.name} has two trainings or states called {twice[0]}; name each variant and value once."
            )
        taken |= names


def _scaled(epochs: int, scale: float) -> int:
    return max(1, round(epochs * scale))


def _check_stages(study: Study, of: str, recipe: Recipe) -> None:
    """Raise StudyError unless the state after some epochs is what a training of just so many would end with."""
    schedule = recipe.schedule
    if schedule.name not in LENGTH_FREE or (schedule.warmup and schedule.name != "plateau"):
        raise StudyError(
            f"Study {study.name} has a row of {of} before its end, and the rate of recipe {recipe.name} depends on how "
            f"long the whole is ({schedule.name}, warmup {schedule.warmup:g}); a shorter training is one of its own."
        )
    augmentation = recipe.augmentation
    if augmentation.early_px is not None or augmentation.light_share:
        key = "early_px" if augmentation.early_px is not None else "light_share"
        raise StudyError(
            f"Study {study.name} has a row of {of} before its end, and augmentation.{key} depends on how long the "
            "whole is; a shorter training is one of its own."
        )
