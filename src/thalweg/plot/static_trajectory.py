"""Trajectories over a surface, with time as colour, and below them what the plane does not show."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from thalweg.plot.static_frame import scaled, shortened, themed
from thalweg.plot.style import Theme
from thalweg.plot.trajectories import PALE, Track, steps, tracks
from thalweg.records import Surface


def trajectories(axes: Axes, record: Surface, theme: Theme) -> None:
    """Each run as a line whose points deepen from pale to the run's colour; named above the picture."""
    found = tracks(record)
    for track in found:
        path = record.data["path"][track.rows]
        axes.plot(path[:, 0], path[:, 1], "-", color="white", lw=3.2, alpha=0.85, zorder=3)
        axes.plot(path[:, 0], path[:, 1], "-", color=track.colour, lw=1.2, label=track.name, zorder=3)
        ramp = LinearSegmentedColormap.from_list("time", [PALE, track.colour])
        axes.scatter(
            path[:, 0], path[:, 1], c=track.time, cmap=ramp, vmin=0, vmax=1, s=15, zorder=4,
            edgecolors="#1d2733", linewidths=0.35,
        )  # fmt: skip
    handles = [Line2D([], [], color=t.colour, lw=2, marker="o", ms=4, label=shortened(t.name)) for t in found]
    legend = axes.legend(
        handles=handles, title="pale at the start, full at the end", loc="lower left", bbox_to_anchor=(0, 1),
        ncols=min(len(handles), 3), frameon=False, fontsize=8.5, title_fontsize=7.5, labelcolor=theme.ink,
        alignment="left", borderpad=0.1,
    )  # fmt: skip
    legend.get_title().set_color(theme.quiet)


def residuals(figure: Figure, above: Axes, record: Surface, theme: Theme) -> None:
    """Two panels under ``above``: how far each point lies off the plane, and F there beside F at its projection."""
    both = "path_projected" in record.data
    grid = figure.add_gridspec(3 if both else 2, 1, height_ratios=[4.6, 1, 1.25] if both else [4.6, 1])
    above.set_subplotspec(grid[0])
    found = tracks(record)
    distance = _panel(figure, grid[1], theme)
    for track in found:
        at, _ = steps(record, track)
        distance.plot(at, record.data["path_distance"][track.rows], "-", color=track.colour, lw=1.6)
    distance.set_ylabel("off the plane", fontsize=8.5)
    distance.set_ylim(bottom=0)
    last = distance
    if both:
        last = _panel(figure, grid[2], theme)
        last.sharex(distance)
        distance.tick_params(labelbottom=False)
        for track in found:
            _losses(last, record, track)
        scaled(last, np.concatenate([record.data["path_loss"], record.data["path_projected"]]))
        last.set_ylabel("loss", fontsize=8.5)
        shown = [Line2D([], [], color=theme.quiet, ls=style) for style in ("-", "--")]
        last.legend(shown, ["on the path", "at its projection"], frameon=False, fontsize=8, labelcolor=theme.ink)
    last.set_xlabel(steps(record, found[0])[1], fontsize=8.5)


def _losses(axes: Axes, record: Surface, track: Track) -> None:
    at, _ = steps(record, track)
    for name, style in (("path_loss", "-"), ("path_projected", "--")):
        values = record.data[name][track.rows]
        axes.plot(at, np.where(np.isfinite(values), values, np.nan), style, color=track.colour, lw=1.4)


def _panel(figure: Figure, where: object, theme: Theme) -> Axes:
    axes = figure.add_subplot(where)  # type: ignore[call-overload]
    themed(axes, theme)
    axes.tick_params(labelsize=8)
    axes.grid(visible=True, color=theme.faint, lw=0.5)
    axes.margins(x=0.02)
    assert isinstance(axes, Axes)
    return axes
