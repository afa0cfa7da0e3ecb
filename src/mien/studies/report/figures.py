"""Learning curves of a study's runs, all in one figure: for the page, and as a PNG for Markdown."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mien.evaluation.report.drawing import (
    SERIES,
    STYLE,
    Drawing,
    LegendEntry,
    as_svg,
    dash_of,
    new_figure,
    percent_scale,
)
from mien.files import written_beside
from mien.studies.compared import Curve
from mien.words import counted

MARKERS, MARKS = ("o", "s", "^"), ("●", "■", "▲")  # of one epoch there is no line whose dashes could be told apart
WIDE_IN = (7.2, 3.4)  # of the PNG, whose legend stands beside up to a dozen curves; with more it grows
ENTRY_IN = 0.168  # a line of that legend: 8 points, and half as much to the next
TITLE_LETTERS = 70  # in a line of the PNG's title; wide ones too
# The same colours as report.css has on white, for a picture that cannot ask the page.
ON_WHITE = ("#0072b2", "#d55e00", "#00875f", "#b0558d", "#a87400", "#3a9bd0", "#55585c")
PLAIN_STYLE = STYLE | {
    "text.color": "#1d1f22",
    "axes.labelcolor": "#1d1f22",
    "xtick.color": "#1d1f22",
    "ytick.color": "#1d1f22",
    "axes.edgecolor": "#d8d9d6",
    "grid.color": "#d8d9d6",
    "figure.facecolor": "white",
}


def draw_curves(title: str, runs: Sequence[Curve]) -> list[Drawing]:
    """Return the figures: accuracy on the validation faces, and on the training faces."""
    lengths = [len(run.epochs) for run in runs]
    fewest = f"{min(lengths):,} to " if min(lengths) < max(lengths) else ""
    n = f"{counted(len(runs), 'run')} of {fewest}{counted(max(lengths), 'epoch')}"
    legend = tuple(
        LegendEntry(run.name, k % len(SERIES), dash_of(k), _of(MARKS, k) if _is_short(run) else "")
        for k, run in enumerate(runs)
    )
    drawings = []
    for faces, what in (
        ("validation", "validation faces, after each epoch"),
        ("training", "training faces, augmented, while the weights move"),
    ):
        with rc_context(STYLE):
            figure = new_figure()
            _plot(figure, runs, faces, SERIES)
            svg = as_svg(figure)
        caption = f"Accuracy on the {what}. n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{n}."
        drawings.append(Drawing(f"{title}, on the {faces} faces", caption, svg, legend))
    return drawings


def write_curves(title: str, runs: Sequence[Curve], path: Path) -> None:
    """Write the curves on the validation faces as a PNG."""
    with rc_context(PLAIN_STYLE):
        figure = Figure(figsize=(WIDE_IN[0], max(WIDE_IN[1], 1 + ENTRY_IN * len(runs))), layout="constrained")
        _plot(figure, runs, "validation", ON_WHITE)
        # The legend is that of the axes, since the title takes no room from one of the figure.
        figure.axes[0].legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, frameon=False, fontsize=8)
        figure.suptitle(textwrap.fill(title, TITLE_LETTERS), x=0.01, ha="left", fontsize=11)
        FigureCanvasAgg(figure)
        with written_beside(path) as beside:
            figure.savefig(beside, dpi=130)


def _plot(figure: Figure, runs: Sequence[Curve], faces: str, colours: Sequence[str]) -> None:
    """Draw the curves on the `validation` or the `training` faces."""
    axes = figure.subplots()
    for k, run in enumerate(runs):
        axes.plot(
            run.epochs,
            run.validation_accuracy if faces == "validation" else run.train_accuracy,
            color=colours[k % len(colours)],
            linestyle=dash_of(k),
            marker=_of(MARKERS, k) if _is_short(run) else "",
            markersize=4,
            label=run.name,
        )
    axes.set(xlabel="epoch", ylabel=f"accuracy, {faces} faces")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    percent_scale(axes.yaxis)


def _is_short(run: Curve) -> bool:
    return len(run.epochs) < 3


def _of(marks: Sequence[str], k: int) -> str:
    """Return the mark of the k-th: where the colours are used up, the next one begins."""
    return marks[k // len(SERIES) % len(marks)]
