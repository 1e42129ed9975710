"""A graph of minima: its disconnectivity graph, and how many components there are at each level."""

from __future__ import annotations

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from thalweg.plot.graphs import joints, stairs
from thalweg.plot.scale import scale_of
from thalweg.plot.static_frame import ruled, shortened, signed, themed
from thalweg.plot.style import LIGHT, Theme
from thalweg.records import MinimaGraph

NAMED = 24
"""More minima than this are not named on the axis."""


def minima_graph(record: MinimaGraph, theme: Theme = LIGHT) -> Figure:
    """Minima as leaves that meet where the level rises to the saddle between them; beside it, components by level."""
    figure = Figure(figsize=(8.6, 5.2), layout=ConstrainedLayoutEngine(w_pad=0.13, h_pad=0.11), facecolor=theme.paper)
    FigureCanvasAgg(figure)
    tree, steps = figure.subplots(1, 2, sharey=True, width_ratios=(2.4, 1))
    values = record.data["values"]
    scale = scale_of(np.concatenate([values, record.saddles]))
    for axes in (tree, steps):
        themed(axes, theme)
        axes.grid(visible=True, axis="y", color=theme.faint, lw=0.5)
        axes.set_axisbelow(True)
    if scale.log:
        tree.set_yscale("log")
        ruled(tree.yaxis, scale.ticks(8))
    at, found = joints(record)
    for joint in found:
        line = joint.outline
        tree.plot(line[:, 0], scale.shown(line[:, 1]), "-", color=theme.lines[0], lw=1.8, solid_joinstyle="miter")
    order = sorted(at, key=lambda i: at[i])
    tree.plot([at[i] for i in order], scale.shown(values[order]), "o", color=theme.lines[1], ms=6, clip_on=False)
    if len(order) <= NAMED:
        tree.set_xticks(range(len(order)), [shortened(record.names[i], 22) for i in order])
        if len(order) > 5:
            tree.tick_params(axis="x", rotation=40)
            for label in tree.get_xticklabels():
                label.set_horizontalalignment("right")
    else:
        tree.set_xticks([])
        tree.set_xlabel(f"{len(order)} minima")
    tree.set_xlim(-0.6, len(order) - 0.4)
    tree.set_ylabel(f"loss ({scale.name})")
    tree.set_title("minima meet at the saddle of the lowest path", fontsize=9, color=theme.ink, loc="left")
    across, up = stairs(record, scale)
    steps.plot(across, up, "-", color=theme.lines[0], lw=1.8, solid_joinstyle="miter")
    steps.set_xlim(0, across.max() + 0.5)
    steps.xaxis.get_major_locator().set_params(integer=True)
    steps.set_xlabel("components up to the level")
    return signed(figure, record, theme)
