"""Basins: where they lie on the map, how long each lives, and into which it falls."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from thalweg.plot.basins import Branch, branches, cut, left_out, on_map, outline
from thalweg.plot.scale import scale_of
from thalweg.plot.static_frame import plain, ruled, scaled, shortened, signed, themed
from thalweg.plot.static_surface import LABEL, contours, has_a_cell, hatched
from thalweg.plot.style import LIGHT, Theme, line_colour
from thalweg.records import Topology

OVER = "#ffffff"
"""What is drawn over viridis is the same in both themes."""


def topology(record: Topology, theme: Theme = LIGHT) -> Figure:
    """The map (or the curve) with minima and outlines of basins; beside it the barcode and the merge tree."""
    figure = Figure(figsize=(11.4, 5.9), layout=ConstrainedLayoutEngine(w_pad=0.13, h_pad=0.11), facecolor=theme.paper)
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 2, width_ratios=(1.45, 1), height_ratios=(1.15, 1))
    place, bars, tree = figure.add_subplot(grid[:, 0]), figure.add_subplot(grid[0, 1]), figure.add_subplot(grid[1, 1])
    for axes in (place, bars, tree):
        themed(axes, theme)
        axes.set_axisbelow(True)
    shown = branches(record)
    if record.data["values"].ndim == 1:
        _curve(place, record, shown, theme)
    else:
        _map(figure, place, record, shown, theme)
    _barcode(bars, record, shown, theme)
    _tree(tree, record, shown, theme)
    return signed(figure, record, theme)


def _map(figure: Figure, axes: Axes, record: Topology, shown: list[Branch], theme: Theme) -> None:
    x, y, index, label = cut(record)
    values = record.data["values"]
    scale = scale_of(values)
    cells = np.ma.masked_invalid(scale.shown(values[index]).T)
    hatched(axes)
    if has_a_cell(cells):
        contours(figure, axes, x, y, cells, scale, theme, record.field)
    for branch in shown:
        if not branch.lives and branch.survives:
            colour = line_colour(theme, branch.basin)
            segments = outline(record.region(branch.basin)[index], x, y)
            axes.add_collection(LineCollection(list(segments), colors=OVER, linewidths=3.2, capstyle="round"))
            axes.add_collection(LineCollection(list(segments), colors=colour, linewidths=1.8, capstyle="round"))
    for _, _, _, path in record.joined:
        axes.plot(path[:, 0], path[:, 1], "-", color=OVER, lw=3.4, solid_capstyle="round")
        axes.plot(path[:, 0], path[:, 1], "--", color="#1d2733", lw=1.4, dash_capstyle="round")
    _marks(axes, record, x, y)
    for branch in shown:
        if not on_map(record, record.data["minima"][branch.basin]):
            continue
        at = record.data["places"][branch.basin]
        colour = line_colour(theme, branch.basin) if branch.survives else "#8a8a8a"
        axes.plot(at[0], at[1], "o", ms=11 if branch.survives else 7, mfc=colour, mec=OVER, mew=1.3, zorder=6)
        if branch.survives:
            axes.annotate(
                str(branch.basin + 1), at[:2], ha="center", va="center_baseline", fontsize=7.5, zorder=7,
                color=_ink(colour), annotation_clip=False,
            )  # fmt: skip
    axes.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    first, second = (record.axes[i] if i < len(record.axes) else f"direction {i + 1}" for i in range(2))
    axes.set_xlabel(shortened(first, 62))
    axes.set_ylabel(shortened(second, 62))
    axes.set_title(plain(label), fontsize=9, color=theme.ink, loc="left")


def _marks(axes: Axes, record: Topology, x: np.ndarray, y: np.ndarray) -> None:
    for name, cell in zip(record.marks, record.data.get("mark_cells", ()), strict=True):
        if not on_map(record, cell):
            continue
        across, up = record.data["coordinates"][tuple(cell)][:2]
        left, low = across > (x[0] + x[-1]) / 2, up > (y[0] + y[-1]) / 2
        axes.plot(across, up, "s", mfc=OVER, mec="#1d2733", ms=5, zorder=5)
        axes.annotate(
            shortened(name), (across, up), xytext=(-10 if left else 10, -11 if low else 11),
            textcoords="offset points", ha="right" if left else "left", va="top" if low else "bottom",
            color=OVER, fontsize=9, bbox=LABEL, zorder=8,
        )  # fmt: skip


def _curve(axes: Axes, record: Topology, shown: list[Branch], theme: Theme) -> None:
    """The values along the line; each surviving basin is filled up to the level at which it ends."""
    t, values = record.data["coordinates"][:, 0], record.data["values"]
    axes.grid(visible=True, color=theme.faint, lw=0.5)
    scale = scale_of(values)
    finite = scale.shown(values)
    for branch in shown:
        if branch.survives and not branch.lives:
            colour, inside = line_colour(theme, branch.basin), record.region(branch.basin)
            axes.fill_between(t, finite, branch.death, where=list(inside), color=colour, alpha=0.35, lw=0)
            axes.hlines(branch.death, t[inside][0], t[inside][-1], color=colour, lw=1.6)
    axes.plot(t, finite, "-", color=theme.ink, lw=1.5)
    for _, _, level, _ in record.joined:
        axes.axhline(level, color=theme.quiet, lw=1, ls="--")
        axes.annotate(
            f"joined at {level:.4g}", (t[0], level), xytext=(4, 3), textcoords="offset points", color=theme.quiet,
            fontsize=8,
        )  # fmt: skip
    for branch in shown:
        at, colour, (born, _) = record.data["places"][branch.basin][0], _coloured(branch, theme), branch.ends(scale)
        axes.plot(at, born, "o", ms=11 if branch.survives else 5, mfc=colour, mec=theme.paper)
        if branch.survives:
            axes.annotate(
                str(branch.basin + 1), (at, born), ha="center", va="center_baseline", fontsize=7.5,
                color=_ink(colour),
            )  # fmt: skip
    axes.set_xlabel(shortened(record.axes[0] if record.axes else "t", 62))
    axes.set_ylabel(f"{plain(record.field)} ({scaled(axes, values)})")
    axes.margins(x=0.02, y=0.08)


def _barcode(axes: Axes, record: Topology, shown: list[Branch], theme: Theme) -> None:
    """One bar from birth to death for each basin, the most persistent at the top; an arrow for one that never ends."""
    axes.grid(visible=True, axis="x", color=theme.faint, lw=0.5)
    scale = scale_of(record.data["values"])
    for row, branch in enumerate(shown):
        colour, (born, died) = _coloured(branch, theme), branch.ends(scale)
        axes.plot([born, died], [row, row], "-", color=colour, lw=6, solid_capstyle="butt")
        axes.plot(born, row, "|", color=colour, ms=6, mew=1.5)  # what a short bar leaves to be seen
        if branch.lives:
            axes.plot(died, row, ">", color=colour, ms=9)
    if scale.log:
        axes.set_xscale("log")
        ruled(axes.xaxis, scale.ticks(5))
    axes.set_yticks(range(len(shown)), [str(branch.basin + 1) for branch in shown])
    axes.set_ylim(max(len(shown), 3) - 0.4, -0.6)
    axes.set_ylabel("basin")
    beside = axes.secondary_yaxis("right")
    beside.set_yticks(range(len(shown)), [branch.label for branch in shown])
    beside.tick_params(colors=theme.ink, labelsize=8, length=0)
    beside.spines[:].set_visible(False)
    axes.set_xlabel(f"{plain(record.field)}, from birth to end")
    said = ["grey: not above the error"] if not all(branch.survives for branch in shown) else []
    said += [left_out(record, shown)] if left_out(record, shown) else []
    axes.set_title("; ".join(said), fontsize=8, color=theme.quiet, loc="left")


def _tree(axes: Axes, record: Topology, shown: list[Branch], theme: Theme) -> None:
    """Every branch upright from its minimum to the level at which it joins the one it falls into."""
    axes.grid(visible=True, axis="y", color=theme.faint, lw=0.5)
    at, scale = {branch.basin: branch.x for branch in shown}, scale_of(record.data["values"])
    for branch in shown:
        colour, (born, died) = _coloured(branch, theme), branch.ends(scale)
        axes.vlines(branch.x, born, died, color=colour, lw=2.2)
        if branch.parent is not None:
            axes.hlines(died, branch.x, at[branch.parent], color=colour, lw=2.2)
        axes.plot(branch.x, born, "o", color=colour, ms=5)
        axes.annotate(
            str(branch.basin + 1), (branch.x, born), xytext=(0, -6), textcoords="offset points", ha="center",
            va="top", fontsize=7.5, color=theme.ink if branch.survives else theme.quiet,
        )  # fmt: skip
    axes.set_ylabel(f"{plain(record.field)} ({scaled(axes, record.data['values'])})")
    axes.margins(x=0.08, y=0.14)
    if axes.get_yscale() == "linear":
        axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.set_xticks([])
    axes.set_xlabel("merge tree: where basins join as the level rises")


def _coloured(branch: Branch, theme: Theme) -> str:
    return line_colour(theme, branch.basin) if branch.survives else theme.quiet


def _ink(colour: str) -> str:
    """Black or white, whichever is read better on the colour."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#ffffff" if 0.299 * red + 0.587 * green + 0.114 * blue < 150 else "#10151c"
