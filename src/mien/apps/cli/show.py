"""What the commands share in showing things: consoles, progress bars, the extras that may be missing."""

import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import sqrt

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from mien.errors import MissingExtraError

# No markup: a file called "[bold].jpg" is to be printed as it is.
out = Console(highlight=False, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, markup=False, emoji=False)


def progress_bar(*columns: TextColumn) -> Progress:
    """Return a bar on stderr that vanishes when it is done, and shows nothing where stderr is no terminal."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=8 if columns else 40),  # what stands beside it must fit into 80 columns
        *(columns or (TaskProgressColumn(),)),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=not sys.stderr.isatty(),
    )


def whole(header: str, names: Iterable[str]) -> Column:
    """Return a table's column of names that are never cut off: they are there to be typed."""
    return Column(header, no_wrap=True, min_width=max(map(len, names)))


def numbers_right(table: Table, *columns: int) -> Table:
    """Return the table with these columns' numbers, or those of all but the first, below one another; none is cut."""
    for place in columns or range(1, len(table.columns)):
        table.columns[place].justify, table.columns[place].overflow = "right", "fold"
    return table


def percent(share: float) -> str:
    """Return 0.7134 as "71.3 %"."""
    return f"{100 * share:.1f} %"


def megabytes(size_bytes: int) -> str:
    """Return 8399195 as "8.4 MB"."""
    return f"{size_bytes / 1e6:.1f} MB"


def accuracy(share: float, n: int) -> str:
    """Return 0.7134 of 3,589 as "71.3 % ± 0.8": with its standard error."""
    return f"{percent(share)} ± {100 * sqrt(share * (1 - share) / n):.1f}"


@contextmanager
def kill_as_ctrl_c() -> Iterator[None]:
    """Let a SIGTERM (`kill`, `timeout`, `docker stop`) tidy up as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Turn an import that fails inside the block into the sentence that says what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("mien"):
            raise
        raise MissingExtraError(extra, error.name) from error
