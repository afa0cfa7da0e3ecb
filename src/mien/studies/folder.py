"""The study folder: what a study leaves behind, and what its report is made from.

studies/barbagallo/
  study.yaml            the study, every default written out
  settings.json         on which FaceSet, how much of the epochs, which changes
  faces.faceset/        the FaceSet divided anew, only where the study says how and the splits were not there
  runs/fer-kd/          a run folder for each training
  runs/sgd-2-2-after-50/   and for each state of it that a table has a row of
  problems/fer-kd.json  why a training has not finished
  looks/…               scores on other faces than those it validates on
  report/               what `mien study report` writes
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from mien.data.faceset import FaceSet, open_faceset
from mien.data.split import DIVIDED, divide
from mien.errors import MienError, StudyError
from mien.files import check_writable, make_folder, written_beside
from mien.studies.epochs import epochs_of
from mien.studies.job import Job, noted, stage_path
from mien.studies.plan import Planned, plan
from mien.studies.study import Study, as_study
from mien.training.recipe import Recipe
from mien.training.run_folder import RunFolder
from mien.training.train import check_fit
from mien.words import counted


@dataclass(frozen=True, slots=True)
class Settings:
    """How a study is carried out.

    Attributes:
        data: Folder of the FaceSet.
        data_sha256: Its hash, before it is divided.
        scale: Share of each training's epochs that is trained.
        changes: `key=value` each, for every recipe.
    """

    data: str
    data_sha256: str
    scale: float
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a training stands.

    Attributes:
        epochs: Trained so far.
        accuracy: On the validation faces, 0-1; None before its first epoch, and where its run folder is broken.
        state: In a few words; of a broken run folder, what is broken.
    """

    epochs: int
    accuracy: float | None
    state: str


class StudyFolder:
    """A study being carried out in a folder.

    Attributes:
        path: The folder.
        study: The study.
        settings: How it is carried out.
        trainings: Its trainings.
    """

    def __init__(self, path: Path, of: tuple[Study, Settings] | None = None) -> None:
        """Open a study's folder.

        Args:
            path: The folder.
            of: The study and its settings, where they are not to be those that are written there.

        Raises:
            StudyError: It is not one.
        """
        self.path = path
        if not is_study_folder(path):
            raise StudyError(f"{path} is not a study's folder (it has no study.yaml); `mien study run` makes one.")
        self.study, self.settings = of or _written(path)
        self.trainings = plan(self.study, scale=self.settings.scale, changes=self.settings.changes)

    @property
    def faceset_path(self) -> Path:
        """The FaceSet that is trained on."""
        own = self.path / "faces.faceset"
        return own if own.is_dir() else Path(self.settings.data)

    def faces(self) -> FaceSet:
        """Open the FaceSet that is trained on.

        Raises:
            StudyError: It is gone, or it is another one than the study was begun with or its runs were trained on.
            DataError: It is broken.
        """
        path = self.faceset_path
        moved = f"say where they are now: mien study run {self.path} --data FACESET"
        if not path.is_dir():
            raise StudyError(f"{path} is gone, and with it the faces of the study in {self.path}; {moved}")
        faces, own = open_faceset(path), path == self.path / "faces.faceset"
        wanted = {} if own else {"the study was begun with": self.settings.data_sha256}
        for training in self.trainings:
            for run in (self.run_path(training), *(self.run_path(training, s.scaled) for s in training.stages)):
                wanted |= {f"{run} was trained on": sha256 for sha256 in _trained_on(run)}
        for whose, sha256 in wanted.items():
            if sha256 != faces.sha256:
                raise StudyError(
                    f"{path} holds other faces (FaceSet {faces.sha256[:12]}) than {whose} ({sha256[:12]}); put those "
                    f"back{'.' if own else f', or {moved}'}"
                )
        return faces

    def run_path(self, training: Planned, scaled_epochs: int | None = None) -> Path:
        """Return the run folder of a training, or of a stage of it; it need not be there yet."""
        run = self.path / "runs" / training.name
        return run if scaled_epochs in (None, training.recipe.epochs) else stage_path(run, scaled_epochs)

    def problem_path(self, training: Planned) -> Path:
        """Return where it is written why a training has not finished."""
        return self.path / "problems" / f"{training.name}.json"

    def jobs(self, threads: int) -> list[Job]:
        """Return every training as a job.

        Args:
            threads: Of each training whose recipe does not say.

        Raises:
            StudyError: A run folder was trained by another recipe than the study's.
        """
        jobs = []
        self.check_trained_by(self.trainings)
        for training in self.trainings:
            path = self.run_path(training)
            stages = sorted({stage.scaled for stage in training.stages} - {training.recipe.epochs})
            problem = self.problem_path(training)
            own = training.recipe.resources.threads or threads
            jobs.append(
                Job(training.name, path, training.recipe, self.faceset_path, tuple(stages), problem, threads=own)
            )
        return jobs

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other process from carrying out this study.

        Raises:
            StudyError: Another one does.
        """
        try:
            with FileLock(self.path / ".lock", timeout=0):
                yield
        except Timeout:
            raise StudyError(
                f"Another process is carrying out the study in {self.path}; `mien study status` shows how far it is."
            ) from None

    def check_trained_by(self, trainings: Sequence[Planned]) -> None:
        """Raise StudyError if a run folder was trained by another recipe than these trainings have for it.

        Of one whose recipe cannot be read it is not known; `standing` says that it is broken.
        """
        for training in trainings:
            for epochs in {training.recipe.epochs, *(stage.scaled for stage in training.stages)}:
                path = self.run_path(training, epochs)
                if _recipe_of(path) not in (None, training.recipe.model_copy(update={"epochs": epochs})):
                    raise StudyError(
                        f"{path} was trained by another recipe than study {self.study.name} now says; give another "
                        "folder with --out, or delete that one."
                    )

    def state(self, training: Planned) -> str:
        """Return in a few words where a training stands."""
        return self.standing(training).state

    def standing(self, training: Planned) -> Standing:
        """Return where a training stands; a broken run folder is no error, so that the others can be told of."""
        path = self.run_path(training)
        try:
            run = RunFolder(path) if path.is_dir() else None
            done = len(epochs_of(run)) if run else 0
            accuracy = run.accuracy() if run else None
        except MienError as error:
            return Standing(0, None, f"broken: {error}")
        if run is not None and run.finished:
            return Standing(done, accuracy, "finished")
        under_way = f"{done} of {counted(training.recipe.epochs, 'epoch')}"
        if problem := noted(self.problem_path(training)):  # before the lock: who goes on takes the note away first
            state = f"{problem[0]}: {problem[1]}"
        elif run is not None and run.is_locked:
            state = f"training, {under_way}"
        else:
            state = f"stopped, {under_way}" if run else "not begun"
        return Standing(done, accuracy, state)


def _recipe_of(run: Path) -> Recipe | None:
    """Return what a run was trained by; None if it has not begun, or its recipe cannot be read."""
    try:
        return RunFolder(run).recipe if run.is_dir() else None
    except MienError:
        return None


def _trained_on(run: Path) -> list[str]:
    """Return the hash of the FaceSet that a run was trained on; none if it has not begun, or is broken."""
    try:
        return [RunFolder(run).environment()["data_sha256"]] if run.is_dir() else []
    except (MienError, KeyError, TypeError):
        return []


def is_study_folder(path: Path) -> bool:
    """Return whether a folder holds a study."""
    return (path / "study.yaml").is_file() and (path / "settings.json").is_file()


def begin(
    path: Path, study: Study, *, data: Path, scale: float = 1.0, changes: Sequence[str] = (), look: bool = False
) -> StudyFolder:
    """Make a study's folder, or open the one that is there.

    Args:
        path: The folder; its parent is made if need be.
        study: The study.
        data: Folder of a prepared FaceSet.
        scale: Share of each training's epochs that is trained.
        changes: `key=value` each, for every recipe.
        look: Leave a folder that is there as it is.

    Raises:
        StudyError: The folder holds another study, or this one on other faces, of another scale or with other changes.
        DataError: The FaceSet does not fit the study's recipes.
        RecipeError: A recipe or setting that does not exist.
    """
    trainings = plan(study, scale=scale, changes=changes)
    faces = open_faceset(data)
    settings = Settings(str(data.resolve()), faces.sha256, scale, tuple(changes))
    if is_study_folder(path):
        begun = StudyFolder(path)
        _check_same(begun, study, settings)
        begun.check_trained_by(trainings)
    elif path.exists() and any(path.iterdir() if path.is_dir() else [path]):
        raise StudyError(f"{path} is there and holds no study; give another folder with --out.")
    own = path / "faces.faceset"
    divided = open_faceset(own) if own.is_dir() else _divided(study, faces)
    for training in trainings:
        check_fit(training.recipe, divided or faces)
    study.check_classes((divided or faces).label_names)
    if look and is_study_folder(path):
        return StudyFolder(path, (study, settings))
    for folder in ("runs", "problems", "looks"):
        make_folder(path / folder)
    check_writable(path / "study.yaml")
    with written_beside(path / "settings.json") as beside:
        beside.write_text(json.dumps(asdict(settings), indent=2) + "\n", encoding="utf-8")
    with written_beside(path / "study.yaml") as beside:
        beside.write_text(study.to_yaml(), encoding="utf-8")
    if divided is not None and not own.is_dir():  # last: where this is not reached, the next call finds a study
        divided.save(own)
    return StudyFolder(path)


def _check_same(folder: StudyFolder, study: Study, settings: Settings) -> None:
    was = folder.settings
    for what, before, now in (
        ("study", folder.study.name, study.name),
        ("data:", folder.study.data, study.data),
        ("FaceSet", was.data_sha256[:12], settings.data_sha256[:12]),
        ("--epochs-scale", was.scale, settings.scale),
        ("--set", " ".join(was.changes) or "nothing", " ".join(settings.changes) or "nothing"),
    ):
        if before != now:
            raise StudyError(f"{folder.path} was begun with {what} {before}, and this is {now}; give another --out.")


def _divided(study: Study, faces: FaceSet) -> FaceSet | None:
    """Return the faces divided as the study says; None if it says nothing, or they were divided anew before.

    Splits of the set's makers are no such division, whatever they are called: another share of the faces, by another
    rule. Those that a table asks for beside the parts stay as they are.
    """
    if study.data is None:
        return None
    parts = study.data.parts
    if faces.name.endswith(DIVIDED) and set(parts) <= set(faces.split_names):
        return None
    asked = {column.split for table in study.tables for column in table.columns} - {*parts}
    keep = [name for name in faces.split_names if name in asked and study.data.only is None]
    if study.data.only is None:
        available = sum(faces.split_names[code] not in keep for code in faces.splits)
    else:
        available = len(faces.split(study.data.only))
    take = None if study.data.take is None else min(study.data.take, available)
    return divide(faces, parts, by=study.data.by, only=study.data.only, take=take, keep=keep)


def _written(path: Path) -> tuple[Study, Settings]:
    study = as_study(_parsed(path / "study.yaml"), path / "study.yaml")
    file = path / "settings.json"
    try:
        written = _parsed(file)
        return study, Settings(**written | {"changes": tuple(written["changes"])})
    except (TypeError, KeyError) as error:  # JSON, but not what begin writes
        raise StudyError(f"{file} is missing or broken; begin the study anew.") from error


def _parsed(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))  # JSON is YAML too
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise StudyError(f"{path} is missing or broken; begin the study anew.") from error
