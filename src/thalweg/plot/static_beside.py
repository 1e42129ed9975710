"""Surfaces beside each other on one scale, from above or as reliefs."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LightSource, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator

from thalweg.errors import InputError
from thalweg.plot.footer import footer, label_of
from thalweg.plot.scale import Scale, scale_of, written
from thalweg.plot.static_frame import hatched, plain, shortened, themed
from thalweg.plot.style import LIGHT, SURFACE, Theme
from thalweg.plot.trajectories import tracks
from thalweg.records import Surface

COLUMNS = 3
"""Pictures in a row."""

CELLS = {1: 6.4, 2: 4.5, 3: 3.5}
"""Width of one picture in inches by how many stand in a row."""

VIEWS = ("contours", "relief")


def beside(surfaces: Mapping[str, Surface], theme: Theme = LIGHT, view: str | Sequence[str] = "contours") -> Figure:
    """Each surface under its name, all on one colour scale, with trajectories at their true losses.

    Several views draw each surface once in each.

    Raises
    ------
    InputError
        If there is none, one is no surface, or a view is unknown.
    """
    views = (view,) if isinstance(view, str) else tuple(view)
    unknown = [v for v in views if v not in VIEWS]
    if unknown or not views:
        raise InputError(f"view={view!r}: choose {' or '.join(map(repr, VIEWS))}")
    others = [name for name, record in surfaces.items() if not isinstance(record, Surface)]
    if others or not surfaces:
        raise InputError(
            f"{', '.join(others) or 'nothing'} is no surface: surfaces are what is drawn beside each other"
        )
    scale = scale_of(np.concatenate([record.loss.ravel() for record in surfaces.values()]), clip=True)
    pictures = [(name, record, v) for name, record in surfaces.items() for v in views]
    columns = min(COLUMNS, len(pictures))
    rows = -(-len(pictures) // columns)
    cell = CELLS[columns]
    lines = _foot(surfaces, width=int((cell * columns + 1) * 17))
    size = (cell * columns + 1, 0.86 * cell * rows + 0.13 * len(lines) + 0.3)
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06)
    figure = Figure(figsize=size, layout=layout, facecolor=theme.paper)
    FigureCanvasAgg(figure)
    norm = LogNorm(scale.low, scale.high) if scale.log else Normalize(scale.low, scale.high)
    drawn = []
    for i, (name, record, kind) in enumerate(pictures):
        solid: dict[str, Any] = {"projection": "3d", "computed_zorder": False} if kind == "relief" else {}
        axes = figure.add_subplot(rows, columns, i + 1, **solid)
        drawn.append(axes)
        (_relief if solid else _flat)(axes, record, scale, norm, theme)
        axes.set_title(plain(name), fontsize=10, color=theme.ink)
    bar = figure.colorbar(ScalarMappable(norm, SURFACE), ax=drawn, pad=0.02, shrink=0.75, aspect=24)
    bar.set_label(f"loss ({scale.name})".replace(", ", ",\n"), color=theme.ink, fontsize=9)
    bar.outline.set_edgecolor(theme.faint)
    bar.ax.tick_params(colors=theme.ink, which="both", labelsize=8)
    ticks = scale.ticks(7)
    bar.set_ticks(ticks, labels=written(ticks))
    bar.ax.minorticks_off()
    figure.supxlabel("\n".join(lines), fontsize=7, color=theme.quiet, x=0.015, ha="left")
    return figure


def _flat(axes: Axes, record: Surface, scale: Scale, norm: Normalize, theme: Theme) -> None:
    themed(axes, theme)
    x, y = record.axes
    hatched(axes)
    # matplotlib's rows run along y; our first axis is the first direction
    z = np.ma.masked_invalid(scale.shown(record.loss).T)
    levels = scale.levels(25)
    levels[0], levels[-1] = scale.low, scale.high
    axes.contourf(x, y, z, levels=levels, norm=norm, cmap=SURFACE)
    if z.max() > z.min():
        axes.contour(x, y, z, levels=levels[1:-1], norm=norm, colors="white", linewidths=0.4, alpha=0.5)
    for track in tracks(record) if "path" in record.data else []:
        path = record.data["path"][track.rows]
        axes.plot(path[:, 0], path[:, 1], "-", color="white", lw=3, alpha=0.85)
        axes.plot(path[:, 0], path[:, 1], "-o", color=track.colour, lw=1.3, ms=2)
    for mark in record.marks:
        _named(axes, mark.name, mark.coordinates, x, y)
    axes.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    axes.set_box_aspect(1)
    axes.set_xlabel(shortened(label_of(record, 0), 40), fontsize=8.5)
    axes.set_ylabel(shortened(label_of(record, 1), 40), fontsize=8.5)


def _named(axes: Axes, name: str, at: tuple[float, ...], x: np.ndarray, y: np.ndarray) -> None:
    """A mark with its name towards the middle of the picture."""
    left, low = at[0] > (x[0] + x[-1]) / 2, at[1] > (y[0] + y[-1]) / 2
    axes.plot(at[0], at[1], "o", mfc="white", mec="#1d2733", ms=5, zorder=5)
    axes.annotate(
        shortened(name), (at[0], at[1]), xytext=(-6 if left else 6, -7 if low else 7), textcoords="offset points",
        ha="right" if left else "left", va="top" if low else "bottom", color="white", fontsize=7.5, zorder=6,
        bbox={"boxstyle": "round,pad=.2", "fc": "#1d2733", "ec": "none", "alpha": 0.8},
    )  # fmt: skip


def _relief(axes: Any, record: Surface, scale: Scale, norm: Normalize, theme: Theme) -> None:
    """The surface lit from one side; what lies on it is drawn over it, also where a ridge would hide it.

    Heights are logarithms where colours are, but for an F that comes to 0: its logarithm is a pit without a bottom.
    """
    logarithmic = not (scale.zeros or scale.sunk) and scale.log
    x, y = record.axes
    z = _height(record.loss, scale, logarithmic).T
    across, up = np.meshgrid(x, y)
    colours = colormaps[SURFACE](norm(scale.shown(record.loss).T))
    whole = np.nan_to_num(z, nan=float(np.nanmin(z)) if np.isfinite(z).any() else 0.0)
    steep = float(np.ptp(whole)) or 1.0
    light = LightSource(azdeg=300, altdeg=52)
    lit = light.hillshade(whole / steep, vert_exag=1.2, dx=1 / x.size, dy=1 / y.size)
    shades = np.clip(colours[..., :3] * (0.72 + 0.42 * lit[..., None]), 0, 1)  # the hue stays that of the bar
    axes.plot_surface(
        across, up, z, facecolors=shades, rcount=y.size, ccount=x.size, linewidth=0, antialiased=False, shade=False
    )
    axes.contour(across, up, z, levels=14, colors="white", linewidths=0.4, alpha=0.45)
    lift = 0.012 * steep
    for track in tracks(record) if "path" in record.data else []:
        path = record.data["path"][track.rows]
        top = _height(record.data["path_loss"][track.rows], scale, logarithmic) + lift
        axes.plot(path[:, 0], path[:, 1], top, "-", color="white", lw=3.4, zorder=5)
        axes.plot(path[:, 0], path[:, 1], top, "-", color=track.colour, lw=1.9, zorder=6)
        axes.plot(path[:, 0], path[:, 1], top, "o", color=track.colour, ms=2.6, zorder=6)
    for mark in record.marks:
        spot = (*mark.coordinates[:2], float(_height(np.array([mark.loss]), scale, logarithmic)[0]) + lift)
        axes.plot(*[[c] for c in spot], "o", mfc="white", mec="#1d2733", ms=5.5, zorder=7)
    axes.set_facecolor(theme.paper)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_pane_color(theme.wash)
        axis.line.set_color(theme.faint)
        axis._axinfo["grid"].update(color=theme.faint, linewidth=0.5)
        axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axis.label.set_color(theme.ink)
    axes.tick_params(colors=theme.ink, labelsize=7, pad=-2)
    if logarithmic:
        ticks = scale.ticks(4)
        axes.zaxis.set_major_locator(FixedLocator([math.log10(tick) for tick in ticks]))
        axes.zaxis.set_major_formatter(FixedFormatter(written(ticks)))
    axes.set_xlabel(shortened(label_of(record, 0), 30), fontsize=7.5, labelpad=-4)
    axes.set_ylabel(shortened(label_of(record, 1), 30), fontsize=7.5, labelpad=-4)
    axes.set_box_aspect((1, 1, 0.62), zoom=1.05)
    axes.view_init(elev=34, azim=_azimuth(whole))


def _height(values: np.ndarray, scale: Scale, log: bool) -> np.ndarray:
    """Values as heights; a point off the plane may lie lower than all of the plane."""
    shown = np.maximum(scale.shown(values), scale.low)
    return np.log10(shown) if log else shown


def _azimuth(z: np.ndarray) -> float:
    """Degrees from beyond the lowest quarter, so that nothing high stands in front of what is low."""
    i, j = z.shape[0] // 2, z.shape[1] // 2
    means = {-45: z[:i, j:].mean(), -135: z[:i, :j].mean(), 45: z[i:, j:].mean(), 135: z[i:, :j].mean()}
    return float(min(means, key=lambda angle: means[angle])) - 12


def _foot(surfaces: Mapping[str, Surface], width: int) -> list[str]:
    """What is said of all once, and what is said of one under its name."""
    said: dict[str, list[str]] = {}
    for name, record in surfaces.items():
        for line in footer(record):
            said.setdefault(line, []).append(name)
    lines = [line if len(names) == len(surfaces) else f"{', '.join(names)}: {line}" for line, names in said.items()]
    return [part for line in lines for part in textwrap.wrap(plain(line), width)]
