"""What every matplotlib figure shares: the sheet, its theme, its axes and its foot."""

from __future__ import annotations

import textwrap
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from thalweg.plot.footer import footer
from thalweg.plot.scale import scale_of, written
from thalweg.plot.style import NONFINITE, Theme
from thalweg.records import Record

_THEIRS = ("backend", "date.epoch", "docstring", "interactive", "keymap", "timezone", "tk.", "toolbar", "webagg")
"""Settings that belong to the program and not to the look of a figure."""

RC: Any = {
    **{name: value for name, value in mpl.rcParamsDefault.items() if not name.startswith(_THEIRS)},
    "font.family": ["DejaVu Sans"],
    "text.usetex": False,
    "svg.hashsalt": "thalweg",
    "hatch.linewidth": 0.6,
}
"""What a caller's own matplotlib settings must not change: the same record gives the same file."""


def plain(text: str) -> str:
    """A name as it is: without this, a pair of dollar signs in it would be set as mathematics."""
    return "".join(c if c.isprintable() else "�" for c in text).replace("$", r"\$")


def shortened(text: str, width: int = 34) -> str:
    """A label that fits: long names lose their middle."""
    return plain(text if len(text) <= width else f"{text[: width // 2 - 1]}…{text[-(width // 2 - 1) :]}")


def sheet(theme: Theme, size: tuple[float, float], rows: int = 1, shared: bool = True) -> tuple[Figure, list[Axes]]:
    """A figure of ``size`` inches with ``rows`` axes above each other, outside pyplot's global state.

    ``shared`` axes have one abscissa.
    """
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.13, h_pad=0.11), facecolor=theme.paper)
    FigureCanvasAgg(figure)
    stack = list(figure.subplots(rows, 1, sharex=shared, squeeze=False)[:, 0])
    for axes in stack:
        themed(axes, theme)
        axes.grid(visible=True, color=theme.faint, lw=0.5)
        axes.set_axisbelow(True)
    return figure, stack


def themed(axes: Axes, theme: Theme) -> None:
    """Paper, ink and rules of the theme."""
    axes.set_facecolor(theme.paper)
    axes.tick_params(colors=theme.ink, labelsize=9, which="both", length=3)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_color(theme.faint)
    axes.xaxis.label.set_color(theme.ink)
    axes.yaxis.label.set_color(theme.ink)


def scaled(axes: Axes, values: np.ndarray) -> str:
    """Set the vertical axis to the scale of ``values``; its name, for the label."""
    scale = scale_of(values)
    if scale.log:
        axes.set_yscale("log")
        ruled(axes.yaxis, scale.ticks(7))
    return scale.name


def ruled(axis: Axis, ticks: list[float]) -> None:
    """Round numbers as ticks, written out in full: a loss of 0.05 is not 5×10⁻²."""
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FixedFormatter(written(ticks)))
    axis.set_minor_locator(NullLocator())


def signed(figure: Figure, record: Record, theme: Theme) -> Figure:
    """Write the record's footer under the figure."""
    width = int(figure.get_figwidth() * 17.5)
    lines = [part for line in footer(record) for part in textwrap.wrap(plain(line), width)]
    figure.supxlabel("\n".join(lines), fontsize=7, color=theme.quiet, x=0.015, ha="left")
    return figure


def hatched(axes: Axes) -> None:
    """What is seen wherever no contour covers it."""
    axes.add_patch(
        Rectangle((0, 0), 1, 1, transform=axes.transAxes, fc=NONFINITE, ec="#6b6b6b", hatch="////", lw=0, zorder=0)
    )
