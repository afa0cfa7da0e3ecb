"""The command `mien`: gathers the commands and turns every error of ours into one sentence and exit code 2."""

import os
import sys

import typer

from mien.apps.cli import data, weights
from mien.apps.cli.evaluate import evaluate
from mien.apps.cli.export import export
from mien.apps.cli.models import models
from mien.apps.cli.read import read
from mien.apps.cli.train import train
from mien.errors import MienError, TrainingStopped

app = typer.Typer(
    name="mien",
    help="Facial-expression recognition that is honest about how good it is.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(read)
app.command()(models)
app.add_typer(weights.app)
app.add_typer(data.app)
app.command()(train)
app.command()(evaluate)
app.command()(export)


def main() -> None:
    """Run the command line."""
    try:
        app()
    except MienError as error:
        print(f"mien: {error}", file=sys.stderr)
        sys.exit(130 if isinstance(error, TrainingStopped) else 2)
    except KeyboardInterrupt:
        print("\nmien: stopped.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output, `head` say, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


if __name__ == "__main__":
    main()
