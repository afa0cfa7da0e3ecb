"""`--engine ray`: what the commands share that can spread their work over a cluster."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from mien.apps.cli import show
from mien.errors import ClusterError, OutputError, ReadingStopped
from mien.words import counted

ENGINES = ("local", "ray")


def check_engine(name: str, **only_ray: object) -> None:
    """Raise ClusterError for an engine that there is not, or an option that the local one does not have.

    Raises:
        MissingExtraError: Ray is asked for and not installed; said before anything is begun.
    """
    if name not in ENGINES:
        raise ClusterError(f"There is no engine {name!r}; choose local or ray.")
    given = [f"--{option.replace('_', '-')}" for option, value in only_ray.items() if value]
    if name == "local" and given:
        raise ClusterError(f"{' and '.join(given)} means something on a cluster only; add --engine ray.")
    if name == "ray":
        with show.needs("cluster"):
            import mien.cluster.connection  # noqa: F401


def read_by_ray(
    files: Sequence[Path],
    out: Path | None,
    options: Mapping[str, Any],
    *,
    address: str | None,
    refused: Sequence[str],
    other: bool,
) -> None:
    """Read files over a cluster into a Parquet data set, and print what was read."""
    if out is None or out.suffix.lower() != ".parquet" or other:
        raise OutputError(
            "--engine ray writes a Parquet data set and nothing else; say --out NAME.parquet (a folder), and leave out "
            "--json, --annotate and --crops."
        )
    from mien.cluster.reading import read_over_cluster

    try:
        with show.progress_bar() as bar:
            task = bar.add_task(f"Reading {counted(len(files), 'file')}", total=len(files))
            summary = read_over_cluster(
                files, out, options=options, address=address, on_file=lambda frames: bar.advance(task)
            )
    except KeyboardInterrupt:
        raise ReadingStopped(
            "Stopped: files that were read to their end are kept; go on with the same command."
        ) from None
    show.out.print(
        f"{summary.files} of {counted(len(files), 'file')} in {out}; read now: {counted(summary.frames, 'frame')}, "
        f"{counted(summary.faces, 'face')}",
        soft_wrap=True,
    )
    report_failures([*refused, *summary.failures], len(files) + len(refused))


def report_failures(failures: Sequence[str], count: int) -> None:
    """Print the sentence for each file that could not be read, and end with exit code 1 if there is one."""
    for failure in failures:
        show.err.print(f"mien: {failure}", style="red", markup=False, soft_wrap=True)
    if failures:
        show.err.print(f"mien: {len(failures)} of {counted(count, 'file')} could not be read, or only in part.")
        raise typer.Exit(1)
