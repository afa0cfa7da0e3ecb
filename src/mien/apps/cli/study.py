"""`mien study`: a paper's tables beside ours."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from mien.apps.cli import show
from mien.apps.cli.cluster import check_engine
from mien.apps.cli.durations import in_words, seconds
from mien.errors import MienError, StudyError
from mien.words import counted

if TYPE_CHECKING:
    from mien.studies.engine import Engine
    from mien.studies.folder import StudyFolder
    from mien.studies.job import Job

STUDIES = Path("studies")
app = typer.Typer(name="study", help="Carry out a paper's experiments and put its tables beside ours.")


@app.command(name="list")
def list_() -> None:
    """List the studies that come with mien."""
    with show.needs("train"):
        from mien.studies.plan import plan
        from mien.studies.study import load_study, study_files

    table = Table(show.whole("study", study_files()), "trainings", "rows", "about")
    for name in study_files():
        study = load_study(name)
        rows = sum(len(printed.rows) for printed in study.tables)
        table.add_row(name, str(len(plan(study))), str(rows), study.about)
    show.out.print(table)


@app.command()
def run(
    study: Annotated[
        str, typer.Argument(metavar="NAME|FILE|FOLDER", help="A study's name, a YAML file, or a folder to go on with.")
    ],
    data: Annotated[Path | None, typer.Option(help="Folder of a prepared FaceSet.")] = None,
    out: Annotated[Path | None, typer.Option(help="The study's folder; by default studies/NAME.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of every recipe.")
    ] = None,
    epochs_scale: Annotated[
        float, typer.Option(help="Train this share of the epochs; every number it gives is marked.")
    ] = 1.0,
    budget: Annotated[
        str | None, typer.Option(help="Begin no training that would not end within this time: 2h, 90m.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the trainings and how long they will take.")
    ] = False,
    engine: Annotated[str, typer.Option(help="local: one after another. ray: over a cluster.")] = "local",
    address: Annotated[
        str | None, typer.Option(help="The cluster that ray is to use, or auto; by default this machine alone.")
    ] = None,
    stop_hopeless: Annotated[
        bool, typer.Option("--stop-hopeless", help="With ray, end trainings early that lag behind the others (ASHA).")
    ] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of each training; by default as many as torch takes.")
    ] = None,
) -> None:
    """Carry out a study: what has finished is left, what was stopped goes on."""
    with show.needs("train"):
        import torch

        from mien.apps.cli.study_watch import Shown, bars
        from mien.studies.compared import SCALED
        from mien.studies.job import Outcome
        from mien.studies.run import run_study, unfinished

    threads = threads or torch.get_num_threads()
    check_engine(engine, address=address, stop_hopeless=stop_hopeless)
    budget_s = None if budget is None else seconds("--budget", budget)
    if dry_run:
        with _folder(study, data, out, epochs_scale, set_, dry=True) as folder:
            _print_plan(folder, unfinished(folder, threads), threads)
        return
    with _folder(study, data, out, epochs_scale, set_) as folder, bars() as open_bars:
        shown = Shown(open_bars, "" if folder.settings.scale == 1 else f" {SCALED}")
        carrier = _engine(engine, folder, address=address, stop_hopeless=stop_hopeless)
        left = run_study(
            folder, engine=carrier, threads=threads, budget_s=budget_s, watcher=shown, progress=shown.on_measuring
        )
    _print_states(folder)
    show.out.print(f"Next: mien study report {folder.path}", soft_wrap=True)
    given_up = [job for job in left if job.problem == Outcome.GIVEN_UP]
    failed = [job for job in left if job.problem == Outcome.FAILED]
    if waiting := len(left) - len(given_up) - len(failed):
        show.err.print(f"{counted(waiting, 'training')} left; go on with: mien study run {folder.path}", soft_wrap=True)
    if failed:
        raise typer.Exit(1)


@app.command()
def status(
    folder: Annotated[Path | None, typer.Argument(help="A study's folder; by default all below studies/.")] = None,
) -> None:
    """Print where each training stands."""
    with show.needs("train"):
        from mien.studies.folder import StudyFolder, is_study_folder

    found = [folder] if folder else sorted(path for path in STUDIES.glob("*") if is_study_folder(path))
    if not found:
        raise StudyError("There is no study below studies/; name its folder, or begin one with `mien study run`.")
    broken = False
    for path in found:
        try:
            _print_states(StudyFolder(path))
        except MienError as error:  # the others are shown all the same
            show.err.print(str(error), style="bold red", soft_wrap=True)
            broken = True
    if broken:
        raise typer.Exit(2)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A study's folder.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the report; by default FOLDER/report.")] = None,
    private_test: Annotated[
        bool, typer.Option("--private-test", help="Look at PrivateTest for the tables that are on it; it is logged.")
    ] = False,
) -> None:
    """Put the paper's tables beside ours: report.html, report.md, study.json, learning curves."""
    with show.needs("train"):
        from mien.evaluation.private_log import LOG, check_log
        from mien.evaluation.report.write import check_folder
        from mien.studies.compare import make_report
        from mien.studies.folder import StudyFolder
        from mien.studies.report import words
        from mien.studies.report.write import write_study_report

    opened = StudyFolder(folder)
    place = out or folder / "report"
    check_folder(place)
    if private_test:
        check_log()
    with show.progress_bar() as bar:
        bar.add_task("Comparing", total=None)
        made = make_report(opened, look_at_private_test=private_test)
        write_study_report(made, place)
    for sentence in (words.scaled_runs(made), *words.collapsed(made), *words.unfinished(made)):
        if sentence:
            show.err.print(sentence, style="bold red", soft_wrap=True)
    show.out.print(words.verdict(made), soft_wrap=True)
    show.out.print(f"The report is {place / 'report.html'}; the same as text: {place / 'report.md'}.", soft_wrap=True)
    if private_test:
        show.err.print(f"Looks at PrivateTest are logged in {LOG.resolve()}: report them, never choose by them.")


@contextmanager
def _folder(
    study: str,
    data: Path | None,
    out: Path | None,
    scale: float,
    changes: list[str] | None,
    *,
    dry: bool = False,
) -> Iterator["StudyFolder"]:
    """Yield the study's folder: the one that is named, or one begun.

    With `dry` one that is there stays as it is, and one that is begun is gone afterwards.
    """
    from mien.studies.folder import StudyFolder, begin, is_study_folder
    from mien.studies.study import load_study

    if is_study_folder(Path(study)):
        if out is not None or changes or scale != 1.0:
            raise StudyError(f"{study} goes on as it was begun; leave out --out, --set and --epochs-scale.")
        opened = StudyFolder(Path(study))
        was = opened.settings
        yield begin(
            opened.path, opened.study, data=data or Path(was.data), scale=was.scale, changes=was.changes, look=dry
        )
        return
    loaded = load_study(study)
    if data is None:
        raise StudyError(f"Study {loaded.name} needs faces: --data FACESET (`mien data prepare` makes one).")
    place = out or STUDIES / (loaded.name if scale == 1.0 else f"{loaded.name}-scaled-{scale:g}")
    if dry and not is_study_folder(place):
        with tempfile.TemporaryDirectory(prefix="mien-") as temporary:
            yield begin(Path(temporary), loaded, data=data, scale=scale, changes=changes or ())
        return
    yield begin(place, loaded, data=data, scale=scale, changes=changes or (), look=dry)


def _engine(name: str, folder: "StudyFolder", *, address: str | None, stop_hopeless: bool) -> "Engine":
    if name == "local":
        from mien.studies.engine import LocalEngine

        return LocalEngine()
    from mien.cluster.engine import RayEngine

    return RayEngine(folder.path / "ray", address=address, stop_hopeless=stop_hopeless)


def _print_plan(folder: "StudyFolder", jobs: "list[Job]", threads: int) -> None:
    from mien.studies import estimate

    with show.progress_bar() as bar:
        task = bar.add_task("Measuring", total=1.0)
        jobs = estimate.timed(
            jobs,
            measure_s=estimate.MEASURE_S,
            progress=lambda what, share: bar.update(task, description=what, completed=share),
        )
    table = Table(show.whole("run", [t.name for t in folder.trainings]), "recipe", "epochs left", "a training takes")
    times = []
    for job in jobs:
        time_s = job.time_left_s()
        times.append(time_s)
        table.add_row(
            job.name, job.recipe.name, str(job.epochs_left), "unknown" if time_s is None else in_words(time_s)
        )
    show.out.print(table)
    known = [time_s for time_s in times if time_s is not None]
    unknown = f", and {len(times) - len(known)} that could not be measured" if len(known) < len(times) else ""
    finished = len(folder.trainings) - len(jobs)
    show.out.print(
        f"{len(jobs)} of {counted(len(folder.trainings), 'training')} to be done ({finished} finished): about "
        f"{in_words(sum(known))} one after another{unknown}, by a few steps of each network on this machine with "
        f"{counted(threads, 'thread')}.",
        soft_wrap=True,
    )


def _print_states(folder: "StudyFolder") -> None:
    from mien.studies.compared import SCALED

    scale = folder.settings.scale
    scaled = "" if scale == 1 else f", {scale:g} of the epochs; {SCALED} marks what is not the paper's experiment"
    show.out.print(f"{folder.path}: {folder.study.name}{scaled}", soft_wrap=True)
    table = Table(show.whole("run", [training.name for training in folder.trainings]), "epochs", "accuracy", "state")
    for training in folder.trainings:
        standing = folder.standing(training)
        accuracy = standing.accuracy
        table.add_row(
            training.name,
            f"{standing.epochs} of {training.recipe.epochs}",
            "" if accuracy is None else show.percent(accuracy) + (f" {SCALED}" if training.scaled else ""),
            standing.state,
        )
    show.out.print(table)
