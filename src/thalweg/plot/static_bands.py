"""Bands over directions: of a line, by distance on a plane, and of two models beside each other."""

from __future__ import annotations

import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thalweg.plot.bands import LEGEND, Band
from thalweg.plot.static_frame import plain, scaled, sheet, shortened, signed, themed
from thalweg.plot.style import LIGHT, Theme
from thalweg.records import Comparison, Surface


def band(axes: Axes, x: np.ndarray, values: np.ndarray, colour: str, style: str = "-", label: str = "") -> None:
    """The median of values [R, n] with the middle half and all of them shaded; one line where R is 1."""
    found = Band.of(values)
    axes.plot(x, found.middle, style, color=colour, lw=1.8, label=label)
    if len(values) == 1:
        return
    axes.fill_between(x, found.bottom, found.top, color=colour, alpha=0.13, lw=0)
    axes.fill_between(x, found.low, found.high, color=colour, alpha=0.25, lw=0)


def above(axes: Axes, theme: Theme, title: str = "") -> None:
    """The legend over the picture, where it covers nothing."""
    legend = axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False, fontsize=8.5, title_fontsize=7.5,
        labelcolor=theme.ink, alignment="left", borderpad=0.1, title=title,
    )  # fmt: skip
    legend.get_title().set_color(theme.quiet)


def by_distance(figure: Figure, picture: Axes, record: Surface, theme: Theme) -> None:
    """A panel under a plane's ``picture``: the mean rise of F at each distance, over all pairs of directions."""
    grid = figure.add_gridspec(2, 1, height_ratios=[3.2, 1])
    picture.set_subplotspec(grid[0])
    picture.set_title(f"the first of {len(record.repeats)} planes", fontsize=9, color=theme.quiet, loc="left")
    axes = figure.add_subplot(grid[1])
    themed(axes, theme)
    axes.tick_params(labelsize=8)
    axes.grid(visible=True, color=theme.faint, lw=0.5)
    axes.margins(x=0.02)
    distances, rise = record.rings
    band(axes, distances, rise, theme.lines[0])
    name = scaled(axes, rise)
    axes.set_ylabel(f"mean rise\n({textwrap.fill(name, 18)})", fontsize=8.5)
    axes.set_xlabel(f"distance from the centre, over {len(record.repeats)} planes ({LEGEND})", fontsize=8.5)


def comparison(record: Comparison, theme: Theme = LIGHT) -> Figure:
    """The rise of F by distance around two models, as bands over directions; dots where they differ."""
    figure, (axes,) = sheet(theme, (6.8, 4.3))
    x = record.data["distances"]
    both = [record.data["rise_first"], record.data["rise_second"]]
    for i, (name, rise) in enumerate(zip(record.names, both, strict=True)):
        band(axes, x, rise, theme.lines[i], label=f"{shortened(name)} ({len(rise)} directions)")
    differs = record.data["p"] <= record.level
    if differs.any():
        said = f"differs (p ≤ {record.level:g}, adjusted)"
        axes.plot(
            x[differs], np.full(differs.sum(), 0.025), "o", transform=axes.get_xaxis_transform(), ms=3.5,
            color=theme.ink, label=said,
        )  # fmt: skip
    name = scaled(axes, np.concatenate([rise.reshape(-1) for rise in both]))
    axes.set_ylabel(plain(f"mean rise of the loss ({name})"))
    axes.set_xlabel("distance from the centre")
    axes.margins(x=0.02, y=0.08)
    above(axes, theme, LEGEND)
    return signed(figure, record, theme)
