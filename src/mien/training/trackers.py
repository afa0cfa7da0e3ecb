"""TensorBoard and MLflow, for those who ask for them: each epoch's metrics go there too."""

from collections.abc import Sequence
from typing import Literal

from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger

from mien.errors import MissingExtraError
from mien.training.run_folder import RunFolder

Tracker = Literal["tensorboard", "mlflow"]


def open_trackers(names: Sequence[Tracker], run: RunFolder) -> list[Logger]:
    """Return Lightning's loggers: RUN/tensorboard, and an SQLite file mlflow.db beside the run folders.

    Raises:
        MissingExtraError: One of them is not installed.
    """
    loggers: list[Logger] = []
    try:
        if "tensorboard" in names:
            loggers.append(TensorBoardLogger(run.path / "tensorboard", name="", version=""))
        if "mlflow" in names:
            import mlflow.store.tracking.sqlalchemy_store  # noqa: F401  # else MLflow fails late, and in its own words

            loggers.append(
                MLFlowLogger(
                    experiment_name="mien",
                    tracking_uri=f"sqlite:///{run.path.parent.resolve() / 'mlflow.db'}",
                    run_name=run.path.name,
                )
            )
    except ModuleNotFoundError as error:
        raise MissingExtraError("track", error.name or "tensorboard") from error
    for logger in loggers:
        logger.log_hyperparams(run.recipe.model_dump(mode="json"))
    return loggers
