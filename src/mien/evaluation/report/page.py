"""Results -> report.html: one page that needs no other file, for a phone, a screen in light or dark, and paper."""

from collections.abc import Sequence

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mien.card import LIMITS
from mien.evaluation.comparison import Comparison
from mien.evaluation.metrics import Evaluation, SubsetScore
from mien.evaluation.report.figures import draw_all
from mien.evaluation.report.gallery import GalleryRow
from mien.evaluation.report.samples import samples
from mien.evaluation.results import Results
from mien.training.calibration import BINS
from mien.words import counted

NBSP = "\N{NO-BREAK SPACE}"
GROUPS_SHOWN = 12  # of an attribute with more groups, half of them from either end


def render(results: Results, galleries: Sequence[Sequence[GalleryRow]]) -> str:
    """Return the page.

    Args:
        results: What the evaluation found; every number on the page is one of these.
        galleries: For each model, faces of each class; empty for a page without faces.
    """
    ranked = sorted(results.models, key=lambda one: -one.evaluation.accuracy)
    return (
        page_environment("mien.evaluation.report")
        .get_template("report.html.j2")
        .render(
            results=results,
            setting=results.setting,
            best=ranked[0],
            second=ranked[min(1, len(ranked) - 1)],
            lead=leading_pair(results),
            drawings=draw_all(results),
            samples=samples([under.score.name for under in results.models[0].stress]),
            galleries=galleries,
            limits=LIMITS,
            bins=BINS,
            groups_shown=GROUPS_SHOWN,
            svg=Markup,
        )
    )


def page_environment(*packages: str) -> Environment:
    """Return Jinja2 with our filters, for the templates in these packages' folders."""
    # Names of models, labels and groups come from outside: everything is escaped but our own figures.
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, ".") for package in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (accuracy, percent, points, share, large, p_value, counted)
    environment.filters |= {function.__name__: function for function in filters}
    return environment


def leading_pair(results: Results) -> Comparison | None:
    """Return the comparison of the two most accurate models; None if there is one alone."""
    if len(results.models) < 2:
        return None
    ranked = sorted(results.models, key=lambda one: -one.evaluation.accuracy)
    names = {one.evaluation.model for one in ranked[:2]}
    return next(pair for pair in results.comparisons if {pair.first, pair.second} == names)


def accuracy(scores: Evaluation | SubsetScore) -> str:
    """Return "71.3 % ± 0.8", with its standard error."""
    return f"{percent(scores.accuracy)}{NBSP}±{NBSP}{100 * scores.standard_error:.1f}"


def percent(value: float) -> str:
    """Return 0.7134 as "71.3 %"."""
    return f"{100 * value:.1f}{NBSP}%"


def points(value: float) -> str:
    """Return a difference of 0.0134 as "+1.3": in percentage points, signed; nothing is "+0.0", never "−0.0"."""
    return f"{100 * value:+z.1f}".replace("-", "−")


def share(value: float) -> str:
    """Return 0.71342 as "0.713"."""
    return f"{value:.3f}"


def large(value: float) -> str:
    """Return 2090240 as "2.09 M"."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * size:  # 999.6 k is 1 M to three digits
            return f"{value / size:.3g}{NBSP}{letter}"
    return f"{value:.0f}"


def p_value(value: float) -> str:
    """Return 0.0312 as "0.031", and what is smaller than 0.001 as "< 0.001"."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
