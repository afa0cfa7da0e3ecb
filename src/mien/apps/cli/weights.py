"""`mien weights`: the model files that are fetched once or added by hand."""

from pathlib import Path
from typing import Annotated

import typer

from mien.apps.cli import show
from mien.errors import WeightsError, unknown_name
from mien.weights import PINNED, add, at_hand
from mien.weights import fetch as fetch_file

app = typer.Typer(name="weights", help="Model files that do not ship with mien.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """List the files mien knows, and whether each is at hand."""
    for name, pinned in PINNED.items():
        try:
            state = "at hand" if at_hand(name) else "not at hand"
        except WeightsError:
            state = "damaged: fetch or add it again"
        size = show.megabytes(pinned.size_bytes)
        show.out.print(f"{name}: {pinned.filename}, {size}, {pinned.licence}, {state}", soft_wrap=True)


@app.command("add")
def add_file(file: Annotated[Path, typer.Argument(help="A file fetched by hand; its SHA-256 is checked.")]) -> None:
    """Add a file that was fetched by hand, on a machine without network."""
    name = add(file)
    show.out.print(f"Added {name}; {PINNED[name].once_added}.")


@app.command()
def fetch(name: Annotated[str, typer.Argument(help="A name that `mien weights list` shows.")]) -> None:
    """Download a file and check its SHA-256."""
    if name not in PINNED:
        raise WeightsError(unknown_name("weights file", name, PINNED))
    show.out.print(f"{name} is at {fetch_file(name)}", soft_wrap=True)
