"""Instability: the rise between two copies against the step at which they part, and the segments themselves."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from thalweg.plot.static_frame import signed, themed
from thalweg.plot.style import LIGHT, SURFACE, Theme
from thalweg.records import Instability


def instability(record: Instability, theme: Theme = LIGHT) -> Figure:
    """Left, each pair and their mean against the fork, with the threshold; right, the mean segment of each fork."""
    figure = Figure(figsize=(9.2, 4.6), layout=ConstrainedLayoutEngine(w_pad=0.13, h_pad=0.11), facecolor=theme.paper)
    FigureCanvasAgg(figure)
    rise, along = figure.subplots(1, 2)
    for axes in (rise, along):
        themed(axes, theme)
        axes.grid(visible=True, color=theme.faint, lw=0.5)
        axes.set_axisbelow(True)
    forks, values = record.data["forks"], record.instability
    if forks.size:
        spread = forks.size > 1 and forks[-1] > 20 * max(1, forks[forks > 0].min(initial=1))
        if spread:
            rise.set_xscale("symlog", linthresh=float(forks[forks > 0].min(initial=1)))
            rise.set_xticks(forks, [f"{k:,}" for k in forks.tolist()])
            rise.minorticks_off()
        for pair in values.T:
            rise.plot(forks, pair, "o", color=theme.lines[0], ms=3.5, alpha=0.45, mew=0)
        rise.plot(forks, record.mean, "-o", color=theme.lines[0], lw=1.8, ms=5, label="mean of pairs")
        rise.axhline(record.threshold, color=theme.lines[1], ls="--", lw=1.3, label=f"threshold {record.threshold:g}")
        rise.set_ylim(min(0.0, float(values.min())), 1.12 * max(record.threshold, float(values.max())))
        rise.legend(frameon=False, labelcolor=theme.ink, fontsize=8.5)
        shades = np.linspace(*((0.3, 0.98) if theme.name == "dark" else (0.05, 0.82)), len(forks))
        for fork, errors, shade in zip(forks.tolist(), record.data["errors"], shades, strict=True):
            colour = colormaps[SURFACE](shade)
            along.plot(record.data["alphas"], errors.mean(axis=0), "-", color=colour, lw=1.6, label=f"{fork:,}")
        along.legend(
            frameon=True, framealpha=0.85, facecolor=theme.paper, edgecolor="none", labelcolor=theme.ink, fontsize=8,
            title="parted at step", title_fontproperties={"size": 8.5},
            ncols=1 + len(forks) // 6,
        ).get_title().set_color(theme.ink)  # fmt: skip
    rise.set_xlabel("step at which the copies part")
    rise.set_ylabel(f"rise of the {record.field} between the copies")
    along.set_xlabel("share of the way from one copy to the other")
    along.set_ylabel(f"{record.field} ({record.evaluated_on} rows)")
    return signed(figure, record, theme)
