"""TensorBoard and MLflow, for those who ask for them: each epoch's metrics go there too."""

from collections.abc import Sequence
from importlib import import_module
from typing import Literal

from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger

from mien.errors import MissingExtraError
from mien.training.run_folder import RunFolder

Tracker = Literal["tensorboard", "mlflow"]
# What each writes with; MLflow's own import does not touch the database's packages and would fail late.
WRITERS: dict[Tracker, str] = {
    "tensorboard": "torch.utils.tensorboard",
    "mlflow": "mlflow.store.tracking.sqlalchemy_store",
}


def check_trackers(names: Sequence[Tracker]) -> None:
    """Raise MissingExtraError unless all of them are installed."""
    for name in names:
        try:
            import_module(WRITERS[name])
        except ModuleNotFoundError as error:
            raise MissingExtraError("track", error.name or name) from error


def open_trackers(names: Sequence[Tracker], run: RunFolder) -> list[Logger]:
    """Return Lightning's loggers: RUN/tensorboard, and an SQLite file mlflow.db beside the run folders."""
    loggers: list[Logger] = []
    if "tensorboard" in names:
        loggers.append(TensorBoardLogger(run.path / "tensorboard", name="", version=""))
    if "mlflow" in names:
        database, known = run.path.parent.resolve() / "mlflow.db", run.path / "mlflow-run.txt"
        mlflow = MLFlowLogger(
            experiment_name="mien",
            tracking_uri=f"sqlite:///{database}",
            run_name=run.path.name,
            run_id=known.read_text() if known.is_file() and database.is_file() else None,  # goes on with the same one
        )
        known.write_text(mlflow.run_id or "")
        loggers.append(mlflow)
    for logger in loggers:
        logger.log_hyperparams(run.recipe.model_dump(mode="json"))
    return loggers
