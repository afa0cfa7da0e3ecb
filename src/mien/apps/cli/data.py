"""`mien data`: datasets on disk -> FaceSets, and what is in them."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from mien.apps.cli import show

app = typer.Typer(name="data", help="Prepare and describe datasets.", no_args_is_help=True)


@app.command()
def prepare(
    csv: Annotated[Path, typer.Argument(help="fer2013.csv, .csv.gz, or a .zip that holds it.")],
    out: Annotated[Path, typer.Option(help="Folder to write the FaceSet to; must not exist yet.")],
    votes: Annotated[Path | None, typer.Option(help="fer2013new.csv, the votes of FER+.")] = None,
) -> None:
    """Read FER2013 once and write it as a FaceSet, which opens in no time."""
    from mien.data.faceset import check_new
    from mien.data.fer2013 import read_fer2013
    from mien.files import check_writable

    check_new(out)
    check_writable(out)
    with show.progress_bar() as bar:
        task = bar.add_task(f"Reading {csv.name}", total=1.0)
        faces = read_fer2013(csv, votes=votes, progress=lambda share: bar.update(task, completed=share))
    faces.save(out)
    splits = ", ".join(f"{int((faces.splits == code).sum()):,} {name}" for code, name in enumerate(faces.split_names))
    show.out.print(f"{out}: {len(faces):,} faces ({splits})", soft_wrap=True)
    show.out.print(f"Next: mien data describe {out}", soft_wrap=True)


@app.command()
def describe(
    faceset: Annotated[Path, typer.Argument(help="Folder of a prepared FaceSet.")],
    sheet: Annotated[
        Path | None, typer.Option(help="Contact sheet to write (.png); by default in the FaceSet's folder.")
    ] = None,
) -> None:
    """Count faces, twins and conflicting labels, and draw a contact sheet."""
    from mien.data.contact_sheet import write_contact_sheet
    from mien.data.description import describe as count
    from mien.data.faceset import open_faceset

    faces = open_faceset(faceset)
    path = sheet or faceset / "contact-sheet.png"
    write_contact_sheet(faces, path)
    found = count(faces)
    table = Table("class", *faces.split_names, "all", title=f"{faces.name}: {len(faces):,} faces")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, row in zip(faces.label_names, found.counts, strict=True):
        table.add_row(name, *(f"{n:,}" for n in row), f"{sum(row):,}")
    totals = [sum(column) for column in zip(*found.counts, strict=True)]
    table.add_section()
    table.add_row("all", *(f"{n:,}" for n in totals), f"{sum(totals):,}")
    show.out.print(table)
    for split, repeats in found.repeats.items():
        show.out.print(f"{repeats:>6,} faces of {split} repeat an earlier one of it, pixel for pixel")
    for (first, second), twins in found.twins.items():
        show.out.print(f"{twins:>6,} faces of {second} have a twin in {first}", style="yellow" if twins else None)
    show.out.print(
        f"{found.conflicting_groups:>6,} groups of identical faces carry more than one label "
        f"({found.conflicting_faces:,} faces)"
    )
    if faces.votes is not None:
        show.out.print(f"       votes: {', '.join(faces.vote_names)}", soft_wrap=True)
    show.out.print(f"       contact sheet: {path}", soft_wrap=True)
