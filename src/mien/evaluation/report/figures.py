"""Results -> the figures of an evaluation's report."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from mien.evaluation.confidence import COVERAGES
from mien.evaluation.metrics import RATES, Evaluation
from mien.evaluation.report.drawing import (
    INK,
    LINE,
    SERIES,
    STYLE,
    Drawing,
    LegendEntry,
    as_svg,
    colour,
    dash_of,
    new_figure,
    percent_scale,
)
from mien.evaluation.results import Results
from mien.training.calibration import BINS
from mien.words import counted

FEW = 10  # faces in a bin below which its share right is mostly chance


@dataclass(frozen=True, slots=True)
class Drawings:
    """All figures of a report.

    Attributes:
        shared: Those of all models together.
        roc: The ROC curves of each model.
        stress: What each condition costs; None where no model was asked.
    """

    shared: tuple[Drawing, ...]
    roc: tuple[Drawing, ...]
    stress: Drawing | None


def draw_all(results: Results) -> Drawings:
    """Draw everything that the results hold."""
    with rc_context(STYLE):
        return Drawings(
            shared=tuple(drawing for draw in _SHARED for drawing in draw(results)),
            roc=tuple(_roc(one.evaluation) for one in results.models),
            stress=_stress(results) if results.models[0].stress else None,
        )


def _reliability(results: Results) -> Iterator[Drawing]:
    figure = new_figure()
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    upper.plot((0, 1), (0, 1), color=INK, linewidth=0.8, linestyle="dotted")
    for k, one in enumerate(results.models):
        bins = [b for b in one.evaluation.confidence.bins if b.n >= FEW]
        style = {"color": colour(k), "linestyle": dash_of(k)}
        upper.plot([b.confidence for b in bins], [b.accuracy for b in bins], marker="o", markersize=3, **style)
        shares = {b.low: b.n / one.evaluation.n for b in bins}
        edges = [k / BINS for k in range(BINS + 1)]
        lower.stairs([shares.get(low, 0) for low in edges[:-1]], edges, **style)
    upper.set(ylabel="share right", ylim=(0, 1.02), xlim=(0, 1))
    lower.set(xlabel="top probability", ylabel="faces")
    percent_scale(upper.yaxis, lower.yaxis, lower.xaxis)
    yield Drawing(
        "Does it mean what it says?",
        "How often the model is right where it is so sure (15 bins), and below the share of the faces in each bin; "
        f"bins of fewer than {FEW} faces are left out. Under the dotted line it is surer than it should be. "
        f"{_n(results)}",
        as_svg(figure),
        _legend(results),
    )


def _coverage(results: Results) -> Iterator[Drawing]:
    figure = new_figure()
    axes = figure.subplots()
    for k, one in enumerate(results.models):
        confidence = one.evaluation.confidence
        axes.plot(COVERAGES, confidence.accuracy_of_surest, color=colour(k), linestyle=dash_of(k))
        if confidence.sure is not None and confidence.sure.accuracy is not None:
            axes.plot(confidence.sure.coverage, confidence.sure.accuracy, "o", color=colour(k))
    axes.set(xlabel="share of the faces that are kept, the surest first", ylabel="share right", xlim=(0, 1.02))
    percent_scale(axes.xaxis, axes.yaxis)
    yield Drawing(
        "What “unsure” buys",
        "Accuracy on the faces that the model is surest of, from the surest tenth to all. A dot marks the model's own "
        f"threshold of “unsure”. {_n(results)}",
        as_svg(figure),
        _legend(results),
    )


def _distribution(results: Results) -> Iterator[Drawing]:
    figure = new_figure()
    axes = figure.subplots()
    labels = results.setting.labels
    places = list(range(len(labels)))
    axes.barh(places, [scores.support for scores in results.models[0].evaluation.classes], color=LINE)
    for k, one in enumerate(results.models):
        called = [scores.called for scores in one.evaluation.classes]
        at = [place + _offset(k, len(results.models)) for place in places]
        axes.plot(called, at, marker=_marker(k), linestyle="none", markersize=5, color=colour(k))
    axes.set(xlabel="faces", yticks=places, yticklabels=labels)
    axes.grid(axis="y", visible=False)
    axes.invert_yaxis()
    yield Drawing(
        "How the faces are distributed",
        f"Bars: how many faces carry the label. Marks: how many the model called so. {_n(results)}",
        as_svg(figure),
        _legend(results, marks=True),
    )


def _learning_curves(results: Results) -> Iterator[Drawing]:
    runs = [(k, one.learning_curve) for k, one in enumerate(results.models) if one.learning_curve is not None]
    if not runs:
        return
    names = {k: results.models[k].evaluation.model for k, _ in runs}
    for quantity in ("accuracy", "loss"):
        figure = new_figure()
        axes = figure.subplots()
        for k, curve in runs:
            for part, dash in (("train", "dashed"), ("validation", "solid")):
                values = getattr(curve, f"{part}_{quantity}")
                epochs = range(1, len(values) + 1)
                axes.plot(epochs, values, color=colour(k), linestyle=dash, marker="o" if len(values) < 3 else "")
        axes.set(xlabel="epoch", ylabel=quantity)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if quantity == "accuracy":
            percent_scale(axes.yaxis)
        n = ", ".join(counted(len(curve.train_loss), "epoch") for _, curve in runs)
        yield Drawing(
            f"How it learnt: {quantity}",
            "Solid: the validation faces, seen by the running mean of the weights. Dashed: the training faces, "
            f"augmented as they were learnt from, so the two are not measured alike. n = {n}.",
            as_svg(figure),
            tuple(LegendEntry(name, k % len(SERIES)) for k, name in names.items()),
        )


def _pareto(results: Results) -> Iterator[Drawing]:
    if len(results.models) < 2:
        return
    macs = [cost.macs for cost in results.costs]
    times = [
        next((t.median_ms for t in cost.timings if (t.threads, t.batch) == (1, 1)), None) for cost in results.costs
    ]
    for what, costs in (
        ("multiply-accumulates for one face", macs),
        ("ms for one face, one thread", times),
    ):
        known = [(k, float(cost)) for k, cost in enumerate(costs) if cost is not None]
        if len(known) < 2:
            continue
        figure = new_figure()
        axes = figure.subplots()
        front, best, leader = [], -1.0, ""
        for k, cost in sorted(known, key=lambda item: (item[1], -results.models[item[0]].evaluation.accuracy)):
            scores = results.models[k].evaluation
            axes.errorbar(cost, scores.accuracy, scores.standard_error, fmt=_marker(k), color=colour(k), capsize=2)
            if scores.accuracy > best:
                front.append((cost, scores.accuracy))
                best, leader = scores.accuracy, scores.model
        unbeaten = f"no model here is cheaper or more accurate than {leader}"
        if len(front) > 1:  # of one point there is no line
            axes.plot(*zip(*front, strict=True), color=INK, linewidth=0.8, linestyle="dotted", drawstyle="steps-post")
            unbeaten = "along the dotted line no other model here is both cheaper and more accurate"
        _log_scale(axes, [cost for _, cost in known])
        axes.set(xlabel=what, ylabel="accuracy")
        percent_scale(axes.yaxis)
        yield Drawing(
            "Accuracy and cost" if what.startswith("multiply") else "Accuracy and time",
            f"Upper left is better; {unbeaten}. Bars: one standard error. {_n(results)}",
            as_svg(figure),
            _legend(results, marks=True),
        )


def _roc(evaluation: Evaluation) -> Drawing:
    figure = new_figure()
    axes = figure.subplots()
    axes.plot((0, 1), (0, 1), color=INK, linewidth=0.8, linestyle="dotted")
    entries = []
    for k, scores in enumerate(evaluation.classes):
        if scores.roc_area is not None:
            axes.plot(RATES, scores.roc, color=colour(k), linestyle=dash_of(k))
            entries.append(LegendEntry(f"{scores.label} {scores.roc_area:.3f}", k % len(SERIES), dash_of(k)))
    axes.set(xlabel="share of the other faces called so", ylabel="share of its own faces called so")
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    percent_scale(axes.xaxis, axes.yaxis)
    return Drawing(
        "ROC by class",
        "Each class against the rest, as its threshold falls; the number is the area under the curve, 0.5 for "
        f"tossing a coin. n = {counted(evaluation.n, 'face')}.",
        as_svg(figure),
        tuple(entries),
    )


def _stress(results: Results) -> Drawing:
    conditions = [under.score.name for under in results.models[0].stress]
    models = len(results.models)
    figure = new_figure(height_in=0.8 + len(conditions) * (0.2 + 0.1 * models))
    axes = figure.subplots()
    axes.axvline(0, color=INK, linewidth=0.8)
    for k, one in enumerate(results.models):
        # Points lost, with the arms of their intervals; the models of a condition stand one below the other.
        lost = [-100 * under.gain.value for under in one.stress]
        arms = [
            [100 * (under.gain.high - under.gain.value) for under in one.stress],
            [100 * (under.gain.value - under.gain.low) for under in one.stress],
        ]
        places = [place + _offset(k, models) for place in range(len(conditions))]
        axes.errorbar(lost, places, xerr=arms, fmt=_marker(k), markersize=5, color=colour(k), capsize=2, elinewidth=1)
    axes.set(xlabel="points of accuracy lost", yticks=range(len(conditions)), yticklabels=conditions)
    axes.grid(axis="y", visible=False)
    axes.invert_yaxis()
    return Drawing(
        "What each condition costs",
        "Accuracy on the faces as they are less that on the same faces under the condition: further left is better. "
        f"Bars: 95 % bootstrap intervals. {_n(results)}",
        as_svg(figure),
        _legend(results, marks=True),
    )


_SHARED: tuple[Callable[[Results], Iterator[Drawing]], ...] = (
    _pareto,
    _reliability,
    _coverage,
    _learning_curves,
    _distribution,
)


def _n(results: Results) -> str:
    return f"n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{counted(results.setting.n, 'face')}."


def _marker(k: int) -> str:
    return "oDsv^<>"[k % 7]


def _offset(k: int, models: int) -> float:
    """Return how far below its row's middle the k-th of several models stands, so that none hides another."""
    return 0.6 * ((k + 0.5) / models - 0.5)


def _legend(results: Results, *, marks: bool = False) -> tuple[LegendEntry, ...]:
    """Name the models by lines or marks; one alone needs no legend, since the page's title names it."""
    if len(results.models) == 1:
        return ()
    return tuple(
        LegendEntry(one.evaluation.model, k % len(SERIES), dash_of(k), "●◆■▼▲◀▶"[k % 7] if marks else "")
        for k, one in enumerate(results.models)
    )


def _log_scale(axes: Axes, values: Sequence[float]) -> None:
    """Show costs by their factors, with a tick at least below and above."""
    axes.set_xscale("log")
    axes.set_xlim(min(values) / 2, max(values) * 2)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(EngFormatter(sep=" ") if min(values) >= 1 else FuncFormatter(lambda x, _: f"{x:g}"))
