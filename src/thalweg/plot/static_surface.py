"""A surface from above: filled contours, the trajectory, the marks, and what is not finite."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from thalweg.plot.footer import label_of
from thalweg.plot.scale import Scale, scale_of, written
from thalweg.plot.static_bands import by_distance
from thalweg.plot.static_convexity import convexity
from thalweg.plot.static_frame import hatched as hatched
from thalweg.plot.static_frame import plain, sheet, shortened, signed
from thalweg.plot.static_trajectory import residuals, trajectories
from thalweg.plot.style import LIGHT, SURFACE, Theme
from thalweg.records import Surface

LABEL = {"boxstyle": "round,pad=.25", "fc": "#1d2733", "ec": "none", "alpha": 0.8}


def surface(record: Surface, theme: Theme = LIGHT) -> Figure:
    """Filled contours of F with trajectory, marks and centre, or maps of curvature; what is not finite is hatched."""
    if record.convexity is not None:
        return convexity(record, theme)
    path = "path" in record.data
    figure, (axes,) = sheet(theme, (6.6, 8.2 if path else 7.4 if record.repeats else 5.7))
    if path:
        residuals(figure, axes, record, theme)
    elif record.repeats:
        by_distance(figure, axes, record, theme)
    axes.grid(visible=False)
    x, y = record.axes
    scale = scale_of(record.loss, clip=True)
    # matplotlib's rows run along y; our first axis is the first direction
    shown = np.ma.masked_invalid(scale.shown(record.loss).T)
    hatched(axes)
    if has_a_cell(shown):
        contours(figure, axes, x, y, shown, scale, theme)
    if path:
        trajectories(axes, record, theme)
    if not any(np.allclose(m.coordinates, 0) for m in record.marks):
        axes.plot(0, 0, "+", color="white", ms=10, mew=2, label="centre")
    _marks(axes, record, x, y)
    axes.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    axes.set_xlabel(shortened(label_of(record, 0), 62))
    axes.set_ylabel(shortened(label_of(record, 1), 62))
    return signed(figure, record, theme)


def contours(
    figure: Figure,
    axes: Axes,
    x: np.ndarray,
    y: np.ndarray,
    z: np.ma.MaskedArray,
    scale: Scale,
    theme: Theme,
    name: str = "loss",
) -> None:
    """Filled contours of ``z`` [n1, n0] with their bar; ``name`` is what it holds."""
    norm = LogNorm(scale.low, scale.high) if scale.log else Normalize(scale.low, scale.high)
    levels = scale.levels()
    levels[0], levels[-1] = scale.low, scale.high  # a rounded power would leave out the extremes themselves
    filled = axes.contourf(x, y, z, levels=levels, norm=norm, cmap=SURFACE)
    if z.max() > z.min():
        axes.contour(x, y, z, levels=levels[1:-1], norm=norm, colors="white", linewidths=0.5, alpha=0.55)
    bar = figure.colorbar(filled, ax=axes, pad=0.02)
    bar.set_label(f"{plain(name)} ({scale.name})", color=theme.ink)
    bar.outline.set_edgecolor(theme.faint)
    bar.ax.tick_params(colors=theme.ink, which="both", labelsize=8)
    ticks = scale.ticks(7)
    bar.set_ticks(ticks, labels=written(ticks))
    bar.ax.minorticks_off()


def has_a_cell(shown: np.ma.MaskedArray) -> bool:
    """Whether at least one grid cell has finite corners, without which there is nothing to contour."""
    good = ~np.ma.getmaskarray(shown)
    return bool((good[1:, 1:] & good[:-1, 1:] & good[1:, :-1] & good[:-1, :-1]).any())


def _marks(axes: Axes, record: Surface, x: np.ndarray, y: np.ndarray) -> None:
    """Each mark with its name, written towards the middle so that the frame never cuts it."""
    for mark in record.marks:
        across, up = mark.coordinates
        left, low = across > (x[0] + x[-1]) / 2, up > (y[0] + y[-1]) / 2
        axes.plot(across, up, "o", mfc="white", mec="#1d2733", ms=6, zorder=5)
        if len(record.tracks) > 1:
            continue  # the runs are named above the picture, and their ends are where they are darkest
        axes.annotate(
            shortened(mark.name), (across, up), xytext=(-8 if left else 8, -9 if low else 9),
            textcoords="offset points", ha="right" if left else "left", va="top" if low else "bottom",
            color="white", fontsize=9, bbox=LABEL, zorder=6,
        )  # fmt: skip
