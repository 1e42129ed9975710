"""What changes along a run as small multiples, and the sharpness against what its step bears."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from thalweg.plot.along import panels, rule_of
from thalweg.plot.static_frame import scaled, sheet, shortened, signed, themed
from thalweg.plot.style import LIGHT, Theme, line_colour
from thalweg.records.trajectories import AlongRun, EdgeOfStability

ACROSS = 3
"""Panels side by side."""


def tiles(theme: Theme, count: int, across: int = ACROSS, height: float = 2.05) -> tuple[Figure, list[Axes]]:
    """A figure of ``count`` small panels, ``across`` of them in a row."""
    down = math.ceil(count / across)
    layout = ConstrainedLayoutEngine(w_pad=0.07, h_pad=0.07)
    figure = Figure(figsize=(8.4, height * down + 0.5), layout=layout, facecolor=theme.paper)
    FigureCanvasAgg(figure)
    grid = list(figure.subplots(down, across, squeeze=False).flat)
    for axes in grid[count:]:
        axes.remove()
    for axes in grid[:count]:
        themed(axes, theme)
        axes.tick_params(labelsize=7.5)
        axes.grid(visible=True, color=theme.faint, lw=0.5)
        axes.set_axisbelow(True)
        axes.margins(x=0.02)
    return figure, grid[:count]


def along_run(record: AlongRun, theme: Theme = LIGHT) -> Figure:
    """One panel per quantity, all against steps."""
    shown = panels(record)
    figure, grid = tiles(theme, max(len(shown), 1))
    for axes, panel in zip(grid, shown, strict=False):
        for i, (name, values) in enumerate(panel.curves):
            # two weights of one rank lie on each other: the later one is thinner and lets the earlier one show
            width = 1.6 if len(panel.curves) == 1 else max(2.4 - 0.5 * i, 1.0)
            axes.plot(record.data["steps"], values, color=line_colour(theme, i), lw=width, label=name)
        if panel.log:
            scaled(axes, np.concatenate([values for _, values in panel.curves]))
        else:
            axes.yaxis.set_major_locator(MaxNLocator(5, integer=panel.title.startswith("rank")))
        axes.set_title(panel.title, fontsize=8.5, color=theme.ink)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        if any(name for name, _ in panel.curves):
            labels = [shortened(name, 24) for name, _ in panel.curves]
            axes.legend(axes.lines, labels, frameon=False, labelcolor=theme.ink, fontsize=7, handlelength=1.4)
    for axes in grid[-ACROSS:]:
        axes.set_xlabel("steps", fontsize=8)
    return signed(figure, record, theme)


def edge_of_stability(record: EdgeOfStability, theme: Theme = LIGHT) -> Figure:
    """Sharpness with the threshold as a line and the step at which it is reached; the loss below."""
    figure, (above, below) = sheet(theme, (6.8, 4.9), rows=2)
    d = record.data
    above.plot(d["steps"], d["sharpness"], "o-", ms=3, lw=1.5, color=theme.lines[0], label="largest eigenvalue")
    told = f"{rule_of(record)} = {record.threshold:.4g}"
    above.axhline(record.threshold, color=theme.lines[1], lw=1.4, ls="--", label=told)
    for axes in (above, below):
        if record.reached is not None:
            axes.axvline(record.reached, color=theme.quiet, lw=0.9, ls=":")
    if record.reached is not None:
        above.plot([], [], color=theme.quiet, lw=0.9, ls=":", label=f"reached at step {record.reached:,}")
    low = float(np.nanmin(d["sharpness"], initial=0.0))
    high = float(np.nanmax(d["sharpness"], initial=record.threshold))
    above.set_ylim(low, high + 0.06 * (high - low))
    above.set_ylabel("sharpness")
    above.legend(frameon=False, labelcolor=theme.ink, fontsize=8.5)
    below.plot(d["steps"], d["loss"], "o-", ms=3, lw=1.5, color=theme.lines[0])
    below.set_ylabel(f"loss ({scaled(below, d['loss'])})")
    below.set_xlabel("steps")
    return signed(figure, record, theme)
