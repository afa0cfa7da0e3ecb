"""Learning curves: metrics.csv -> learning-curves.png, loss and accuracy over the epochs."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from mien.files import written_beside
from mien.training.run_folder import RunFolder

# Okabe & Ito's blue and vermillion, which people with any colour vision tell apart.
COLOURS = {"train": "#0072B2", "validation": "#D55E00"}


def draw_curves(run: RunFolder, path: Path) -> None:
    """Write a PNG with the loss and the accuracy of each epoch so far, for training and for validation."""
    rows, data = run.metrics(), run.recipe.data
    names = {
        "train": f"{data.train}, augmented (not measured alike)",
        "validation": f"{data.validate_on}, mean weights",
    }
    epochs = [int(row["epoch"]) for row in rows]
    figure = Figure(figsize=(9, 3.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, quantity in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for split, colour in COLOURS.items():
            values = [float(row[f"{split}_{quantity}"]) for row in rows]
            axes.plot(
                epochs, values, color=colour, linewidth=1.8, marker="o" if len(rows) < 3 else "", label=names[split]
            )
        axes.set_title(quantity, loc="left")
        axes.set(xlabel="epoch", xlim=(1, run.recipe.epochs) if run.recipe.epochs > 1 else None)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    figure.axes[1].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    figure.suptitle(f"{run.recipe.name}: epoch {epochs[-1]} of {run.recipe.epochs}", x=0.01, ha="left", weight="bold")
    with written_beside(path) as beside:
        figure.savefig(beside)
