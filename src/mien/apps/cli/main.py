"""The command `mien`: gathers the commands and turns every error of ours into one sentence and exit code 2."""

import io
import os
import sys
from typing import Annotated, Any, NoReturn

import typer

import mien
from mien.apps.cli import data, study, weights
from mien.apps.cli.detectors import detectors
from mien.apps.cli.evaluate import evaluate
from mien.apps.cli.export import export
from mien.apps.cli.models import models
from mien.apps.cli.read import read
from mien.apps.cli.train import train
from mien.apps.cli.watch import watch
from mien.errors import MienError, ReadingStopped, TrainingStopped

# An option that is not there, a value that is no number: what typer raises for all of these has no name in it.
USAGE_ERROR: Any = typer.BadParameter.__bases__[0]

app = typer.Typer(
    name="mien",
    help="Facial-expression recognition that is honest about how good it is.",
    no_args_is_help=True,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.", is_eager=True)] = False,
) -> None:
    """Facial-expression recognition that is honest about how good it is."""
    if version:
        print(f"mien {mien.__version__}")
        raise typer.Exit


app.command()(read)
app.command()(watch)
app.command()(detectors)
app.command()(models)
app.add_typer(weights.app)
app.add_typer(data.app)
app.command()(train)
app.command()(evaluate)
app.add_typer(study.app)
app.command()(export)


def main() -> None:
    """Run the command line."""
    # Before torch is loaded: threads that wait for one another then sleep. If they spin, as is the default, any other
    # busy program makes a training several times slower (benchmarks/busy_machine.py).
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    for stream in (sys.stdout, sys.stderr):  # a letter that the terminal's encoding lacks is no reason to stop
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        sys.exit(app(prog_name="mien", standalone_mode=False))
    except USAGE_ERROR as error:
        said = error.format_message()
        if not said:  # a command without arguments, and its page of help has been printed
            sys.exit(2)
        said += "" if said.endswith((".", "?")) else "."
        _end(f"{said} Try `{error.ctx.command_path if error.ctx else 'mien'} -h`.", 2)
    except MienError as error:
        _end(str(error), 130 if isinstance(error, TrainingStopped | ReadingStopped) else 2)
    except MemoryError as error:
        _end(f"There is not enough memory ({str(error) or 'none is left'}); give less at once, or smaller pictures.", 2)
    except OSError as error:  # a full disk, a folder without permission: the system's own words say it
        _end(f"{error.strerror or error}: {error.filename or 'while reading or writing'}.", 2)


def _end(sentence: str, code: int) -> NoReturn:
    print(f"mien: {sentence}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
