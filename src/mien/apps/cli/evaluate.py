"""`mien evaluate`: runs or models, and a split -> scores, and a report."""

from pathlib import Path
from typing import Annotated

import typer

from mien.apps.cli import show


def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN|MODEL…",
            help="Run folders, .onnx files, models' names, or .yaml files that describe other people's .onnx files.",
        ),
    ],
    data: Annotated[Path, typer.Option(help="Folder of a prepared FaceSet.")],
    split: Annotated[
        str, typer.Option(help="Split to evaluate on. Each look at PrivateTest is logged.")
    ] = "PublicTest",
    views: Annotated[
        int, typer.Option(help="Views of each face, averaged: 1, 2 (mirrored too) or 10 (corners too).")
    ] = 1,
    report: Annotated[
        Path | None, typer.Option(help="Folder for report.html, evaluation.json and predictions.parquet.")
    ] = None,
    gallery: Annotated[bool, typer.Option(help="Show faces of the FaceSet in the report.")] = True,
    timing: Annotated[bool, typer.Option(help="Measure latency and throughput too.")] = True,
    stress: Annotated[
        bool, typer.Option("--stress", help="Ask again under blur, noise, tilt, darkness, a hasty box, a cover.")
    ] = False,
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="Judge the models together too: the mean of their probabilities.")
    ] = False,
    choosing: Annotated[
        bool, typer.Option("--i-know", help="Compare several models on PrivateTest, which amounts to choosing by it.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score runs and models side by side on one split of a FaceSet."""
    with show.needs("train"):
        from mien.apps.cli import scores
        from mien.data.split import PRIVATE_TEST, is_private_test
        from mien.evaluation.evaluate import evaluate as run
        from mien.evaluation.private_log import LOG
        from mien.evaluation.report.write import check_folder, write_report

    if report is not None:
        check_folder(report)
    with show.progress_bar() as bar:
        task = bar.add_task("Evaluating", total=1.0)
        judged = run(
            models,
            data=data,
            split=split,
            view_count=views,
            timed=timing,
            stressed=stress,
            together=ensemble,
            choosing=choosing,
            progress=lambda what, done: bar.update(task, description=what, completed=done),
        )
    if json:
        print(judged.results.to_json(), end="")
    else:
        scores.print_results(judged.results)
    if report is not None:
        write_report(judged, report, gallery=gallery)
        show.err.print(f"The report is {report / 'report.html'}.", soft_wrap=True)
    setting = judged.results.setting
    if is_private_test(setting.data, setting.split):
        show.err.print(
            f"This look at {PRIVATE_TEST} is logged in {LOG.resolve()}: report it, never choose by it.", soft_wrap=True
        )
