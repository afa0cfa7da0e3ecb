"""`mien data`: datasets on disk -> FaceSets, and what is in them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.padding import Padding
from rich.table import Table

from mien.apps.cli import show
from mien.words import counted

if TYPE_CHECKING:
    from mien.data.faceset import FaceSet

MISSING_SHOWN = 20

app = typer.Typer(name="data", help="Prepare and describe datasets.", no_args_is_help=True)


@app.command()
def prepare(
    source: Annotated[
        Path, typer.Argument(help="fer2013.csv, a folder of class folders, ...: see `mien data formats`.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write the FaceSet to; must not exist yet.")],
    votes: Annotated[Path | None, typer.Option(help="fer2013new.csv, the votes of FER+.")] = None,
    format_: Annotated[str | None, typer.Option("--format", help="The layout, if it is not recognised.")] = None,
    size: Annotated[int, typer.Option(help="Side of the faces in pixels.")] = 48,
    colour: Annotated[str, typer.Option(help="grey or rgb.")] = "grey",
    labels: Annotated[str, typer.Option(help="Keep these expressions only: angry,happy,sad.")] = "",
    take: Annotated[int | None, typer.Option(help="Keep a draw of so many faces, classes in proportion.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides the draw.")] = 0,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Go on if more than 1 % of the pictures are missing or broken.")
    ] = False,
) -> None:
    """Read a dataset once and write it as a FaceSet, which opens in no time."""
    with show.needs("train"):
        from mien.data.faceset import check_new
        from mien.data.formats import prepare as read
        from mien.data.preparation import Wanted
    from mien.files import check_writable

    check_new(out)
    check_writable(out)
    with show.progress_bar() as bar:
        task = bar.add_task(f"Reading {source.name}", total=1.0)
        wanted = Wanted(
            size_px=size,
            colour=colour,
            labels=tuple(filter(None, labels.split(","))),
            votes=votes,
            take=take,
            seed=seed,
            allow_missing=allow_missing,
            progress=lambda share: bar.update(task, completed=share),
        )
        prepared = read(source, wanted, format_name=format_)
    prepared.save(out)
    _print_missing(prepared.missing, out)
    for why, count in prepared.left_out.items():
        show.out.print(f"left out: {count:,} {why}", soft_wrap=True)
    _print_set(prepared.faces, out)


def _print_missing(missing: Sequence[str], out: Path) -> None:
    for sentence in missing[:MISSING_SHOWN]:
        show.err.print(sentence, soft_wrap=True)
    if missing:
        show.err.print(
            f"Skipped: {counted(len(missing), 'picture')}, missing or broken; {out / 'missing.txt'} lists them all.",
            soft_wrap=True,
        )


def _print_set(faces: "FaceSet", out: Path) -> None:
    splits = ", ".join(f"{int((faces.splits == code).sum()):,} {name}" for code, name in enumerate(faces.split_names))
    show.out.print(f"{out}: {counted(len(faces), 'face')} ({splits})", soft_wrap=True)
    show.out.print(f"Next: mien data describe {out}", soft_wrap=True)


@app.command()
def formats() -> None:
    """Explain each layout that `mien data prepare` reads, with an example."""
    with show.needs("train"):
        from mien.data.formats import FORMATS

    show.out.print("`mien data prepare SOURCE` reads these. A line after | is one of the file above it.\n")
    for known in FORMATS.values():
        show.out.print(known.name, style="bold")
        show.out.print(Padding(known.about, (0, 0, 0, 2), expand=False))
        for line in known.example.splitlines():
            show.out.print(f"    {line}", soft_wrap=True)
        show.out.print()


@app.command()
def split(
    faceset: Annotated[Path, typer.Argument(help="Folder of a prepared FaceSet.")],
    parts: Annotated[str, typer.Option(help="The new splits and their shares: train=0.8,test=0.2.")],
    out: Annotated[Path, typer.Option(help="Folder to write the new FaceSet to; must not exist yet.")],
    by: Annotated[
        str,
        typer.Option(help="group: twins, a video's frames, a person's pictures stay on one side. face: they do not."),
    ] = "group",
    from_: Annotated[
        str | None, typer.Option("--from", help="Divide this split alone; the others are dropped.")
    ] = None,
    take: Annotated[int | None, typer.Option(help="Divide a draw of so many faces, classes in proportion.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides every draw.")] = 0,
) -> None:
    """Divide the faces of a FaceSet anew, each class in proportion; the seed decides which go where."""
    with show.needs("train"):
        from mien.data.faceset import check_new, open_faceset
        from mien.data.split import PRIVATE_TEST, divide, read_parts
    from mien.files import check_writable

    check_new(out)
    check_writable(out)
    faces = open_faceset(faceset)
    divided = divide(faces, read_parts(parts), by=by, only=from_, take=take, seed=seed)
    divided.save(out)
    _print_set(divided, out)
    if from_ in (None, PRIVATE_TEST) and PRIVATE_TEST in faces.split_names:
        show.err.print(
            "PrivateTest's faces are among those divided, so PrivateTest can no longer judge what learns from these; "
            "--from Training leaves them out.",
            style="yellow",
            soft_wrap=True,
        )


@app.command()
def describe(
    faceset: Annotated[Path, typer.Argument(help="Folder of a prepared FaceSet.")],
    sheet: Annotated[
        Path | None, typer.Option(help="Contact sheet to write (.png); by default in the FaceSet's folder.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Draw as well what this recipe does to faces, beside the contact sheet.")
    ] = None,
) -> None:
    """Count faces, twins and conflicting labels, and draw a contact sheet."""
    with show.needs("train"):
        from mien.data.contact_sheet import write_contact_sheet
        from mien.data.description import describe as count
        from mien.data.faceset import open_faceset
    from mien.errors import OutputError

    faces = open_faceset(faceset)
    path, refused = sheet or faceset / "contact-sheet.png", None
    try:
        write_contact_sheet(faces, path)
    except OutputError as error:
        if sheet is not None or recipe is not None:
            raise
        refused = error  # nobody asked for it there, and one may look at faces that lie where one cannot write
    recipe_path = None if recipe is None else _draw_recipe(faces, recipe, path)
    found = count(faces)
    show.out.print(_counts_table(faces, found.counts))
    for split, repeats in found.repeats.items():
        show.out.print(f"{repeats:>6,} of {split} equal to an earlier one of it, pixel for pixel")
    for (first, second), twins in found.twins.items():
        show.out.print(f"{twins:>6,} of {second} with a twin in {first}", style="yellow" if twins else None)
    for (first, second), divided in found.divided.items():
        sentence = f"{divided:>6,} of {second} with others of their group (video, person) in {first}"
        show.out.print(sentence, style="yellow" if divided else None, soft_wrap=True)
    if any(found.divided.values()):
        advice = "       scores on such splits are too good; divide them anew with `mien data split`"
        show.out.print(advice, soft_wrap=True)
    show.out.print(
        f"{found.conflicting_faces:>6,} of all with an identical face of another label, in "
        f"{counted(found.conflicting_groups, 'group')}"
    )
    for name, values in faces.attributes.items():
        show.out.print(f"       {name}: {counted(len(set(values.tolist()) - {''}), 'value')}", soft_wrap=True)
    if faces.votes is not None:
        show.out.print(f"       votes: {', '.join(faces.vote_names)}", soft_wrap=True)
    if refused is None:
        show.out.print(f"       contact sheet: {path}", soft_wrap=True)
    else:
        show.err.print(
            f"{refused} There is no contact sheet; --sheet puts it elsewhere.", style="yellow", soft_wrap=True
        )
    if recipe_path is not None:
        show.out.print(f"       what the recipe does: {recipe_path}", soft_wrap=True)


def _draw_recipe(faces: "FaceSet", name_or_path: str, beside: Path) -> Path:
    with show.needs("train"):
        from mien.training.recipe_files import load_recipe
        from mien.training.recipe_sheet import write_recipe_sheet
    recipe = load_recipe(name_or_path)
    path = beside.with_name(f"{beside.stem}-{recipe.name.replace('/', '-')}.png")
    write_recipe_sheet(faces, recipe, path)
    return path


def _counts_table(faces: "FaceSet", counts: Sequence[Sequence[int]]) -> Table:
    splits = [*faces.split_names, *(["all"] if len(faces.split_names) > 1 else [])]
    table = Table("class", title=f"{faces.name}: {counted(len(faces), 'face')}")
    for name in splits:
        table.add_column(name, justify="right")
    rows = {name: [*row, sum(row)] for name, row in zip(faces.label_names, counts, strict=True)}
    for name, row in rows.items():
        table.add_row(name, *(f"{n:,}" for n in row[: len(splits)]))
    table.add_section()
    totals = [sum(column) for column in zip(*rows.values(), strict=True)]
    table.add_row("all", *(f"{n:,}" for n in totals[: len(splits)]))
    return table
