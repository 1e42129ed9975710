"""F over a simplex: a triangle for every three of its points, or the segment between two."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from matplotlib.tri import Triangulation, TriContourSet

from thalweg.plot.scale import Scale, scale_of, written
from thalweg.plot.simplexes import CORNERS, Face, faces, left_out
from thalweg.plot.static_frame import plain, scaled, sheet, shortened, signed
from thalweg.plot.style import LIGHT, NONFINITE, SURFACE, Theme
from thalweg.records import SimplexSurface


def simplex(record: SimplexSurface, theme: Theme = LIGHT) -> Figure:
    """Filled contours over each face with the points named at its corners; what is not finite is hatched."""
    found = faces(record)
    if not found:
        return _segment(record, theme)
    columns = 2 if len(found) == 4 else min(len(found), 3)
    rows = -(-len(found) // columns)
    figure, _ = sheet(theme, (6.6, 6.2) if len(found) == 1 else (4.2 * columns, 4.1 * rows + 1))
    figure.clear()
    scale = scale_of(record.loss)
    norm = LogNorm(scale.low, scale.high) if scale.log else Normalize(scale.low, scale.high)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    filled = None
    for axes, face in zip(grid, found, strict=False):
        filled = _face(axes, record, face, scale, norm, theme) or filled
    for axes in grid[len(found) :]:
        axes.set_axis_off()
    if filled is not None:
        bar = figure.colorbar(filled, ax=list(grid), pad=0.02, shrink=0.8)
        bar.set_label(f"loss ({scale.name})", color=theme.ink)
        bar.outline.set_edgecolor(theme.faint)
        bar.ax.tick_params(colors=theme.ink, which="both", labelsize=8)
        ticks = scale.ticks(7)
        bar.set_ticks(ticks, labels=written(ticks))
        bar.ax.minorticks_off()
    if left_out(record):
        figure.suptitle(f"{left_out(record)} more faces not drawn", fontsize=8, color=theme.quiet, x=0.99, ha="right")
    return signed(figure, record, theme)


def _face(
    axes: Axes, record: SimplexSurface, face: Face, scale: Scale, norm: Normalize, theme: Theme
) -> TriContourSet | None:
    axes.set_facecolor(theme.paper)
    axes.set_axis_off()
    axes.set_aspect("equal")
    axes.set(xlim=(-0.12, 1.12), ylim=(-0.12, CORNERS[2, 1] + 0.12))
    axes.add_patch(Polygon(CORNERS, closed=True, fc=NONFINITE, ec="#6b6b6b", hatch="////", lw=0, zorder=0))
    values = scale.shown(record.loss[face.rows])
    finite = np.isfinite(values)
    good = finite[face.triangles].all(axis=1)
    drawn = None
    if good.any():
        mesh = Triangulation(face.places[:, 0], face.places[:, 1], face.triangles, mask=~good)
        levels = scale.levels()
        levels[0], levels[-1] = scale.low, scale.high
        shown = np.where(finite, values, scale.high)
        drawn = axes.tricontourf(mesh, shown, levels=levels, norm=norm, cmap=SURFACE)
        if shown[finite].max() > shown[finite].min():
            axes.tricontour(
                mesh, shown, levels=levels[1:-1], norm=norm, colors="white", linewidths=0.5, alpha=0.55
            )  # fmt: skip
    axes.add_patch(Polygon(CORNERS, closed=True, fill=False, ec=theme.faint, lw=0.8))
    for corner, place in zip(face.corners, CORNERS, strict=True):
        mark, top = record.marks[corner], place[1] > 0
        axes.plot(*place, "o", mfc="white", mec="#1d2733", ms=6, zorder=5, clip_on=False)
        axes.annotate(
            f"{shortened(mark.name, 20)}\n{mark.loss:.4g}", tuple(place), xytext=(0, 8 if top else -8),
            textcoords="offset points", ha="center", va="bottom" if top else "top", color=theme.ink, fontsize=9,
        )  # fmt: skip
    return drawn


def _segment(record: SimplexSurface, theme: Theme) -> Figure:
    figure, (axes,) = sheet(theme, (6.8, 4.3))
    t = record.weights[:, 1]
    axes.plot(t, np.where(np.isfinite(record.loss), record.loss, np.nan), "-", color=theme.lines[0], lw=1.8)
    axes.set_xlabel(plain(f"weight of {record.marks[1].name}; the rest is {record.marks[0].name}"))
    axes.set_ylabel(f"loss ({scaled(axes, record.loss)})")
    return signed(figure, record, theme)
