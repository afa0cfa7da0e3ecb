"""`mien export`: a finished run -> one ONNX file that carries its card."""

from pathlib import Path
from typing import Annotated

import typer

from mien.apps.cli import show
from mien.card import NOT_STATED
from mien.errors import ExportError
from mien.weights import bundled_models
from mien.words import counted


def export(
    source: Annotated[
        str,
        typer.Argument(metavar="RUN|MODEL", help="Folder of a finished run; with --int8 also an .onnx file or a name."),
    ],
    out: Annotated[Path, typer.Option(help="The .onnx file to write.")],
    int8: Annotated[
        bool, typer.Option("--int8", help="Write 8 bits instead of 32; refused if that costs more than 0.3 points.")
    ] = False,
    by_votes: Annotated[
        bool,
        typer.Option("--by-votes", help="Write the second head: FER+'s eight expressions, as its voters saw them."),
    ] = False,
    data: Annotated[
        Path | None, typer.Option(help="FaceSet for the check; by default the one the run was trained on.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="Licence of a run's weights, for the card, e.g. Apache-2.0; else: not stated.")
    ] = None,
) -> None:
    """Write a run's network as one ONNX file, checked against torch; or one of 8 bits, checked against 32 bits."""
    with show.needs("train"):
        from mien.export.int8 import export_int8
        from mien.export.onnx import export as write
        from mien.training.run_folder import RunFolder

    if not int8 and (source in bundled_models() or source.endswith(".onnx")):
        raise ExportError(f"{source} is an ONNX file already; give a run's folder, or add --int8 to have it in 8 bits.")
    if int8 and by_votes:
        raise ExportError(
            "Export twice: with --by-votes, and then that file with --int8 and a FaceSet of FER+ (--data)."
        )
    with show.err.status("Exporting and checking"):
        if int8:
            found = export_int8(source, out, data=data, licence=licence)
            checked = (
                f"right on {100 * found.int8:.2f} % of the {counted(found.n, 'face')} of {found.split}, with 32 bits "
                f"on {100 * found.fp32:.2f} %"
            )
        else:
            run = RunFolder(Path(source))
            difference = write(run, out, data=data, by_votes=by_votes, licence=licence or NOT_STATED)
            checked = f"its answers differ from torch's by {difference:.1e} at most"
    show.out.print(f"{out}: {show.megabytes(out.stat().st_size)}; {checked}", soft_wrap=True)
    show.out.print(f"Next: mien read photo.jpg --model {out}", soft_wrap=True)
