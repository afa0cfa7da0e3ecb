"""The log of looks at PrivateTest: it is for reporting, never for choosing, and each look is written down."""

import csv
from datetime import UTC, datetime
from pathlib import Path

from mien.card import Provenance
from mien.data.split import PRIVATE_TEST
from mien.errors import OutputError
from mien.evaluation.metrics import Evaluation

LOG = Path("results") / "private_test_log.csv"
COLUMNS = (
    "date",
    "model",
    "commit",
    "recipe_sha256",
    "model_sha256",
    "views",
    "n",
    "accuracy",
    "standard_error",
    "macro_f1",
)


def check_log() -> None:
    """Raise OutputError unless a look could be logged."""
    try:
        LOG.parent.mkdir(exist_ok=True)
        with LOG.open("a"):
            pass
    except OSError as error:
        raise OutputError(
            f"Cannot write {LOG} ({error.strerror}); each look at {PRIVATE_TEST} is logged there, so go to a folder "
            "that you may write to."
        ) from error


def log_look(evaluation: Evaluation, provenance: Provenance | None, *, model_sha256: str) -> None:
    """Append one look to results/private_test_log.csv below the current folder, after `check_log`.

    Args:
        evaluation: What was seen.
        provenance: How the model was made; None for somebody else's.
        model_sha256: Hash of its weights.
    """
    new = LOG.stat().st_size == 0
    with LOG.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(COLUMNS)
        writer.writerow(
            [
                datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                evaluation.model,
                provenance.commit if provenance else "unknown",
                provenance.recipe_sha256 if provenance else "unknown",
                model_sha256,
                evaluation.views,
                evaluation.n,
                f"{evaluation.accuracy:.5f}",
                f"{evaluation.standard_error:.5f}",
                f"{evaluation.macro.f1:.5f}",
            ]
        )
