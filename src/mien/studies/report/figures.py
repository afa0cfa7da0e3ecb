"""Learning curves of a study's runs, all in one figure: for the page, and as a PNG for Markdown."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mien.evaluation.report.drawing import (
    DASHES,
    SERIES,
    STYLE,
    Drawing,
    LegendEntry,
    as_svg,
    dash_of,
    percent_scale,
)
from mien.files import written_beside
from mien.words import counted

MARKERS = ("o", "s", "^")  # of one epoch there is no line whose dashes could be told apart
SIZE_IN = (7.2, 3.4)  # wide, since up to a dozen curves have to be told apart
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
Runs = Sequence[tuple[str, Sequence[dict[str, str]]]]
"""Name and rows of metrics.csv of each run."""


def draw_curves(title: str, runs: Runs) -> list[Drawing]:
    """Return the figures: accuracy on the validation faces, and on the training faces."""
    lengths = [len(rows) for _, rows in runs]
    fewest = f"{min(lengths):,} to " if min(lengths) < max(lengths) else ""
    n = f"{counted(len(runs), 'run')} of {fewest}{counted(max(lengths), 'epoch')}"
    legend = tuple(LegendEntry(name, k % len(SERIES), dash_of(k)) for k, (name, _) in enumerate(runs))
    drawings = []
    for column, what in (
        ("validation_accuracy", "validation faces, after each epoch"),
        ("train_accuracy", "training faces, augmented, while the weights move"),
    ):
        with rc_context(STYLE):
            svg = as_svg(_figure(runs, column, SERIES))
        caption = f"Accuracy on the {what}. n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{n}."
        drawings.append(Drawing(f"{title}: {column.split('_')[0]}", caption, svg, legend))
    return drawings


def write_curves(title: str, runs: Runs, path: Path) -> None:
    """Write the curves on the validation faces as a PNG."""
    with rc_context(PLAIN_STYLE):
        figure = _figure(runs, "validation_accuracy", ON_WHITE, legend=True)
        figure.axes[0].set_title(title, loc="left")
        FigureCanvasAgg(figure)
        with written_beside(path) as beside:
            figure.savefig(beside, dpi=130)


def _figure(runs: Runs, column: str, colours: Sequence[str], *, legend: bool = False) -> Figure:
    figure = Figure(figsize=SIZE_IN, layout="constrained")
    axes = figure.subplots()
    for k, (name, rows) in enumerate(runs):
        axes.plot(
            [int(row["epoch"]) for row in rows],
            [float(row[column]) for row in rows],
            color=colours[k % len(colours)],
            linestyle=DASHES[k // len(colours) % len(DASHES)],
            marker=MARKERS[k // len(colours) % len(MARKERS)] if len(rows) < 3 else "",
            markersize=4,
            label=name,
        )
    axes.set(xlabel="epoch", ylabel="accuracy")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    percent_scale(axes.yaxis)
    if legend:
        figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return figure
