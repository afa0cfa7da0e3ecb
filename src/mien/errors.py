"""Every error a user can meet, one tree.

    MienError
    ├── InputError          a photo, clip or folder that cannot be read
    │   └── DamagedClip     a clip that could be read only in part; what was read is good
    ├── OutputError         a place that cannot be written
    ├── ReadingStopped      a reading that was asked to stop
    ├── DataError           a dataset on disk that is not what it should be
    │   └── LabelError      a label outside the dataset's codes
    ├── RecipeError         an unknown recipe, an unknown or impossible setting
    ├── StudyError          an unknown study, or a file or folder that is not one
    ├── ModelError          an unknown model, or a model file that is not one of ours
    ├── WeightsError        a file with the wrong SHA-256, or a download that failed
    ├── DetectorError       an unknown face detector, or one whose model is not at hand
    ├── TrainingError       a run that cannot start or go on
    │   └── TrainingStopped a run that was asked to stop, and can go on later
    ├── ClusterError        a cluster that is not there, or a way to use it that it does not have
    ├── ExportError         a network whose ONNX file does not agree with it
    └── MissingExtraError   an optional part of mien that is not installed

Each message is one sentence or two: what was wanted, what came, what to do next. The command line
prints it and exits with 2.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class MienError(Exception):
    """Base of every error that mien raises on purpose."""


class InputError(MienError):
    """A photo, clip or folder that cannot be read."""


class DamagedClip(InputError):
    """A clip that could be read only in part; raised after its good frames, which are kept."""


class OutputError(MienError):
    """A place that cannot be written."""


class ReadingStopped(MienError):
    """A reading that was asked to stop (Ctrl-C); the command line exits with 130."""


class DataError(MienError):
    """A dataset on disk that is not what it should be."""


class LabelError(DataError):
    """A label outside the dataset's codes."""


class RecipeError(MienError):
    """An unknown recipe, or a setting it does not know or cannot have."""


class StudyError(MienError):
    """An unknown study, a study file that says something impossible, or a folder that holds another study."""


class ModelError(MienError):
    """An unknown model, or a file that is not a mien model."""


class WeightsError(MienError):
    """A weights file with another SHA-256 than the pinned one, or a download that failed."""


class DetectorError(MienError):
    """An unknown face detector, or one whose model file is not at hand."""


class TrainingError(MienError):
    """A run that cannot start or cannot go on."""


class TrainingStopped(TrainingError):
    """A run that was asked to stop (Ctrl-C) and can go on later; the command line exits with 130."""


class ClusterError(MienError):
    """A cluster that is not there, or a way of using one that there is not."""


class ExportError(MienError):
    """A network whose ONNX file does not give the same answers."""


def install_command(extra: str) -> str:
    """Return what installs an optional part of mien, typed in mien's folder."""
    return f"pip install -c constraints.txt '.[{extra}]'"


class MissingExtraError(MienError):
    """An optional part of mien that is not installed."""

    def __init__(self, extra: str, missing: str | None) -> None:
        super().__init__(extra, missing)  # as they came: it must survive the way from another process
        self._sentence = f"This needs `{missing}`, which is not installed; install it, in mien's folder, with: "
        self._sentence += install_command(extra)

    def __str__(self) -> str:
        return self._sentence


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Return the sentence for a name that is not known, with the nearest known ones.

    Args:
        kind: What the name should have been, e.g. ``"recipe"``.
        name: What came.
        known: All names that would have been right.
    """
    choices = sorted(known)
    near = get_close_matches(name, choices, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"choose one of: {', '.join(choices)}."
    return f"There is no {kind} {name!r}; {hint}"
