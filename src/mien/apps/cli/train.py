"""`mien train`: a recipe and a FaceSet -> a run folder."""

import shlex
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import TextColumn
from rich.table import Table

from mien.apps.cli import show
from mien.errors import RecipeError
from mien.words import counted

if TYPE_CHECKING:
    from mien.training.run_folder import RunFolder
    from mien.training.trackers import Tracker
    from mien.training.watcher import EpochMetrics, StepProgress, Watcher


def train(
    recipe: Annotated[str | None, typer.Argument(help="A recipe's name, or a YAML file.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of a prepared FaceSet.")] = None,
    out: Annotated[Path, typer.Option(help="Folder to make the run folder in.")] = Path("runs"),
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting: optimiser.lr=0.01.")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with this run folder (--data, if its data moved).")] = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Log to RUN/tensorboard too.")] = False,
    mlflow: Annotated[bool, typer.Option("--mlflow", help="Log to mlflow.db beside the run folders too.")] = False,
    devices: Annotated[int, typer.Option(min=1, help="Processes on this machine that train together.")] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="Machines that train together.")] = 1,
    node: Annotated[int, typer.Option(min=0, help="Which of them this is; 0 keeps the run folder.")] = 0,
    leader: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where machine 0 is found.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the recipes.")] = False,
) -> None:
    """Train a network by a recipe."""
    if resume is not None and (recipe is not None or set_):
        raise RecipeError("A resumed run keeps its own recipe; give --resume without a recipe and without --set.")
    if resume is None and not list_ and (recipe is None or data is None):
        raise RecipeError(
            "To train, name a recipe and a FaceSet: mien train mien-s --data FACESET (`mien train --list` has all)."
        )
    with show.needs("train"):
        from mien.training.parallel import Parallel
        from mien.training.recipe_files import load_recipe
        from mien.training.run_folder import RunFolder
        from mien.training.train import resume as go_on
        from mien.training.train import train as start
        from mien.training.watcher import Watcher
    if list_:
        _list_recipes()
        return
    if resume is not None and RunFolder(resume).finished:
        show.err.print(f"{resume} has already finished.")
    parallel = Parallel(devices=devices, nodes=nodes, node=node, leader=leader)
    trackers: list[Tracker] = []
    if tensorboard:
        trackers.append("tensorboard")
    if mlflow:
        trackers.append("mlflow")
    bar, watcher = _watch() if parallel.leads else (nullcontext(), Watcher())
    with bar:
        if resume is not None:
            run = go_on(RunFolder(resume), data=data, watcher=watcher, parallel=parallel, trackers=trackers)
        else:
            assert recipe is not None
            assert data is not None
            run = start(
                load_recipe(recipe, set_ or ()),
                data=data,
                out=out,
                watcher=watcher,
                parallel=parallel,
                trackers=trackers,
            )
    if parallel.leads:
        _print_end(run, data or Path(run.environment()["data_folder"]))


def _list_recipes() -> None:
    from mien.training.recipe_files import load_recipe, recipe_files

    table = Table(show.whole("recipe", recipe_files()), "epochs", "about")
    for name in recipe_files():
        recipe = load_recipe(name)
        table.add_row(name, str(recipe.epochs), recipe.about)
    show.out.print(table)


def _watch() -> tuple[AbstractContextManager[object], "Watcher"]:
    """Return a watcher and what must be open around it: a bar in a terminal, plain lines elsewhere."""
    from mien.training.watcher import Watcher

    if not sys.stderr.isatty():

        class Lines(Watcher):
            """Prints a line an epoch."""

            def on_start(self, run: "RunFolder") -> None:
                """Print where and how."""
                show.err.print(_start_line(run), soft_wrap=True)

            def on_note(self, note: str) -> None:
                """Print it."""
                show.err.print(note, soft_wrap=True)

            def on_epoch(self, metrics: "EpochMetrics") -> None:
                """Print the line."""
                show.err.print(_epoch_line(metrics), soft_wrap=True)

        return nullcontext(), Lines()

    bar = show.progress_bar(TextColumn("{task.fields[numbers]}"))
    task = bar.add_task("epoch 1", total=None, numbers="")

    class Bar(Watcher):
        """Moves the bar at each step, prints a line above it at each epoch."""

        def on_start(self, run: "RunFolder") -> None:
            """Print where and how."""
            bar.console.print(_start_line(run))

        def on_note(self, note: str) -> None:
            """Print it."""
            bar.console.print(note, soft_wrap=True)

        def on_step(self, progress: "StepProgress") -> None:
            """Move the bar."""
            bar.update(
                task,
                description=f"epoch {progress.epoch}/{progress.epochs}",
                completed=progress.step,
                total=progress.steps,
                numbers=f"loss {progress.loss:.3f} accuracy {progress.accuracy:.3f} "
                f"{progress.faces_per_s:,.0f} faces/s",
            )

        def on_epoch(self, metrics: "EpochMetrics") -> None:
            """Print the line."""
            bar.console.print(_epoch_line(metrics))

    return bar, Bar()


def _start_line(run: "RunFolder") -> str:
    environment, done = run.environment(), len(run.metrics())
    # The threads that it began with are its environment's; a note before this line says if they are others now.
    way = f"going on after epoch {done}" if done else counted(environment["threads"], "thread")
    compiled = f", compiled ({environment['compile_reason']})" if environment.get("compiled") else ""
    if run.recipe.compile != "off" and not compiled:
        compiled = f", not compiled ({environment['compile_reason']})"
    return (
        f"{run.path}: {run.recipe.network} from {environment.get('start', 'scratch')}, "
        f"{counted(run.recipe.epochs, 'epoch')}, {environment['precision']}, {way}{compiled}"
    )


def _epoch_line(metrics: "EpochMetrics") -> str:
    return (
        f"epoch {metrics.epoch:>3}  loss {metrics.train_loss:.3f} accuracy {metrics.train_accuracy:.3f}  "
        f"validation loss {metrics.validation_loss:.3f} accuracy {metrics.validation_accuracy:.3f}  "
        f"{metrics.faces_per_s:,.0f} faces/s"
    )


def _print_end(run: "RunFolder", data: Path) -> None:
    score = run.card().score
    score_line = f"{run.path}: {show.accuracy(score.accuracy, score.n)} on {counted(score.n, 'face')} of {score.split}"
    show.out.print(score_line, soft_wrap=True)
    split = "" if score.split == "PublicTest" else f" --split {shlex.quote(score.split)}"
    show.out.print(f"Next: mien evaluate {run.path} --data {data}{split}", soft_wrap=True)
    show.out.print(f"      mien export {run.path} --out model.onnx", soft_wrap=True)
