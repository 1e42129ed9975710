"""Curvature over a plane from above: eigenvalues in diverging colours, their ratio, and the gradient's share inside."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, LogNorm, Normalize
from matplotlib.figure import Figure

from thalweg.plot.convexity import DIVERGING, Panel, panels
from thalweg.plot.footer import label_of
from thalweg.plot.scale import scale_of, written
from thalweg.plot.static_frame import hatched, plain, sheet, shortened, signed, themed
from thalweg.plot.style import LIGHT, SURFACE, Theme
from thalweg.plot.trajectories import tracks
from thalweg.records import Surface


def convexity(record: Surface, theme: Theme = LIGHT) -> Figure:
    """Four maps over the same plane with contours of F; where an eigenvalue did not converge there is a hole."""
    figure, _ = sheet(theme, (10.4, 9.0))
    figure.clear()
    grid = figure.subplots(2, 2, sharex=True, sharey=True)
    for axes, panel in zip(grid.ravel(), panels(record), strict=True):
        themed(axes, theme)
        _map(figure, axes, record, panel, theme)
    for axes in grid[1]:
        axes.set_xlabel(shortened(label_of(record, 0), 56))
    for axes in grid[:, 0]:
        axes.set_ylabel(shortened(label_of(record, 1), 56))
    return signed(figure, record, theme)


def _map(figure: Figure, axes: Axes, record: Surface, panel: Panel, theme: Theme) -> None:
    x, y = record.axes
    hatched(axes)
    if panel.scale is None:
        shown, norm = panel.shade(panel.values), Normalize(-1, 1)
        colours: str | Colormap = LinearSegmentedColormap.from_list("signs", DIVERGING)
        ticks = panel.ticks()
        places = panel.shade(np.array(ticks)).tolist()
    else:
        low, high = panel.scale.low, panel.scale.high
        shown, colours = panel.scale.shown(panel.values), SURFACE
        norm = LogNorm(low, high) if panel.scale.log else Normalize(low, high)
        ticks = places = panel.scale.ticks(6)
    cells = axes.pcolormesh(x, y, np.ma.masked_invalid(shown.T), norm=norm, cmap=colours, shading="nearest")
    bar = figure.colorbar(cells, ax=axes, pad=0.02)
    bar.set_ticks(places, labels=written(ticks))
    bar.ax.minorticks_off()
    bar.ax.tick_params(colors=theme.ink, which="both", labelsize=8)
    bar.outline.set_edgecolor(theme.faint)
    bar.set_label(plain(panel.kind), color=theme.quiet, fontsize=8)
    axes.set_title(plain(panel.name), fontsize=10, color=theme.ink, loc="left")
    _contours(axes, record, x, y)
    for track in tracks(record):
        path = record.data["path"][track.rows]
        axes.plot(path[:, 0], path[:, 1], "-", color="#1d2733", lw=2.4)
        axes.plot(path[:, 0], path[:, 1], "-", color=track.colour, lw=1.2)
    for mark in record.marks:
        axes.plot(*mark.coordinates, "o", mfc="white", mec="#1d2733", ms=5)
    axes.set(xlim=_edges(x), ylim=_edges(y))


def _contours(axes: Axes, record: Surface, x: np.ndarray, y: np.ndarray) -> None:
    """Contours of F, thin, so that curvature is seen where the loss has which shape."""
    scale = scale_of(record.loss)
    shown = np.ma.masked_invalid(scale.shown(record.loss).T)
    if shown.count() > 3 and shown.max() > shown.min():
        axes.contour(x, y, shown, levels=scale.levels(9)[1:-1], colors="#1d2733", linewidths=0.5, alpha=0.55)


def _edges(at: np.ndarray) -> tuple[float, float]:
    """The outer borders of the outermost cells."""
    return float(at[0] - (at[1] - at[0]) / 2), float(at[-1] + (at[-1] - at[-2]) / 2)
