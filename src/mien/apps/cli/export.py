"""`mien export`: a finished run -> one ONNX file that carries its card."""

from pathlib import Path
from typing import Annotated

import typer

from mien.apps.cli import show


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    out: Annotated[Path, typer.Option(help="The .onnx file to write.")],
    data: Annotated[
        Path | None, typer.Option(help="FaceSet for the check, if the one the run was trained on has moved.")
    ] = None,
) -> None:
    """Write a run's network as one ONNX file, checked against torch on 256 faces."""
    with show.needs("train"):
        from mien.export.onnx import export as write
        from mien.training.run_folder import RunFolder

    with show.err.status("Exporting and checking"):
        difference = write(RunFolder(run), out, data=data)
    size = out.stat().st_size / 1e6
    show.out.print(f"{out}: {size:.1f} MB; its answers differ from torch's by {difference:.1e} at most", soft_wrap=True)
    show.out.print(f"Next: mien read photo.jpg --model {out}", soft_wrap=True)
