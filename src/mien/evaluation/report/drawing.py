"""What the figures of all reports share: SVG that stands inside the page and takes its colours from it.

matplotlib draws with stand-in colours; each becomes a CSS variable of the page, so that one figure serves light, dark
and print. Legends are the page's business: its text wraps where a figure's would be cut off.
"""

import hashlib
import io
import re
from dataclasses import dataclass
from typing import Any

from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

SIZE_IN = (4.3, 3.1)  # small, since a phone shows it at this width, and letters shrink with a figure
INK, LINE = "#000001", "#000002"  # stand for var(--ink) and var(--line)
SERIES = tuple(f"#00001{k}" for k in range(7))  # stand for var(--series-0) and so on
DASHES = ("solid", "dashed", "dotted", "dashdot")
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # letters stay letters: to be read aloud, searched and scaled
    "svg.hashsalt": "mien",  # the same results give the same file
    "font.family": "sans-serif",
    "font.size": 9.5,
    "text.parse_math": False,  # a class may be called "$x"
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.5,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "none",
    "lines.linewidth": 1.6,
}


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """One line of a legend: what a colour (by number) and a dash, or a mark, stand for."""

    text: str
    series: int
    dash: str = "solid"
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure of the report.

    Attributes:
        title: What it shows.
        caption: How to read it, and n.
        svg: The picture, an <svg> element.
        legend: What its colours stand for; empty where the picture says it.
    """

    title: str
    caption: str
    svg: str
    legend: tuple[LegendEntry, ...] = ()


def colour(k: int) -> str:
    """Return the stand-in for the colour of the k-th of several things."""
    return SERIES[k % len(SERIES)]


def dash_of(k: int) -> str:
    """Return the dash of the k-th: neighbours differ in it too, for eyes that see two of the colours as one."""
    return DASHES[k % len(DASHES)]


def new_figure(height_in: float = SIZE_IN[1]) -> Figure:
    """Return an empty figure; draw in it within `rc_context(STYLE)`."""
    return Figure(figsize=(SIZE_IN[0], height_in), layout="constrained")


def percent_scale(*scales: Axis) -> None:
    """Label axes of shares in per cent, with as many decimals as the ticks have."""
    for scale in scales:
        scale.set_major_formatter(FuncFormatter(lambda share, _: f"{round(100 * share, 6):g}%"))


def as_svg(figure: Figure) -> str:
    """Return a figure as an <svg> element that takes its colours and its width from the page."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})  # no date: the same results give the same page
    svg = re.sub(r"^.*?(?=<svg)", "", text.getvalue(), flags=re.DOTALL)
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    # Several figures share one page, so that each needs ids of its own.
    own = hashlib.sha256(svg.encode()).hexdigest()[:8]
    svg = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{own}-", svg)
    variables = {INK: "ink", LINE: "line"} | {colour: f"series-{k}" for k, colour in enumerate(SERIES)}
    for colour, name in variables.items():
        svg = svg.replace(colour, f"var(--{name})")
    return svg
