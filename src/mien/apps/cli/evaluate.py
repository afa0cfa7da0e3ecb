"""`mien evaluate`: a run or a model, and a split -> scores."""

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from mien.apps.cli import show

if TYPE_CHECKING:
    from mien.evaluation.metrics import Evaluation


def evaluate(
    model: Annotated[str, typer.Argument(metavar="RUN|MODEL", help="A run folder, an .onnx file or a model's name.")],
    data: Annotated[Path, typer.Option(help="Folder of a prepared FaceSet.")],
    split: Annotated[
        str, typer.Option(help="Split to evaluate on. Each look at PrivateTest is logged.")
    ] = "PublicTest",
    views: Annotated[
        int, typer.Option(help="Views of each face, averaged: 1, 2 (mirrored too) or 10 (corners too).")
    ] = 1,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score a run or a model on one split of a FaceSet."""
    with show.needs("train"):
        from mien.evaluation.evaluate import evaluate as run
        from mien.evaluation.private_log import LOG, PRIVATE_TEST

    with show.progress_bar() as bar:
        task = bar.add_task(f"Evaluating on {split}", total=1.0)
        evaluation = run(
            model, data=data, split=split, view_count=views, progress=lambda share: bar.update(task, completed=share)
        )
    if json:
        print(json_format.dumps(evaluation.as_dict(), indent=2))
    else:
        _print(evaluation)
    if split == PRIVATE_TEST:
        show.err.print(
            f"This look at {PRIVATE_TEST} is logged in {LOG.resolve()}: report it, never choose by it.", soft_wrap=True
        )


def _print(evaluation: "Evaluation") -> None:
    views = "1 view" if evaluation.views == 1 else f"{evaluation.views} views"
    show.out.print(
        f"{evaluation.model} on {evaluation.data} {evaluation.split}, n = {evaluation.n:,}, {views}: "
        f"accuracy {evaluation.accuracy:.4f} ± {evaluation.standard_error:.4f} (standard error), "
        f"macro F1 {evaluation.macro_f1:.4f}",
        soft_wrap=True,
    )
    classes = Table("class", "precision", "recall", "F1", "faces")
    for scores in evaluation.classes:
        numbers = (f"{value:.3f}" for value in (scores.precision, scores.recall, scores.f1))
        classes.add_row(scores.label, *numbers, f"{scores.support:,}")
    show.out.print(classes)
    names = [scores.label for scores in evaluation.classes]
    confusion = Table("is ╲ called", *names)
    for column in (*classes.columns[1:], *confusion.columns[1:]):
        column.justify = "right"
    for index, (name, row) in enumerate(zip(names, evaluation.confusion, strict=True)):
        confusion.add_row(name, *(Text(str(n), style="bold" if index == k else "") for k, n in enumerate(row)))
    show.out.print(confusion)
