"""Published curves beside ours, a panel for each, with the values of x that explain their features."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from thalweg.plot.scale import scale_of
from thalweg.plot.static_frame import plain, ruled, sheet, shortened, signed
from thalweg.plot.style import LIGHT, SURFACE, Theme
from thalweg.records import Reproduction


def published(record: Reproduction, theme: Theme = LIGHT) -> Figure:
    """Each curve in a panel of its own, ours with two standard errors, and the marks across all of them."""
    grew = "added.ours" in record.data
    count = len(record.curves) + grew
    figure, panels = sheet(theme, (6.8, 2.9 * count + 1.2), rows=count, shared=not grew)
    for axes, name in zip(panels, record.curves, strict=False):
        _curve(axes, record, name, theme)
    if grew:
        _added(panels.pop(), record, theme)
    panels[0].legend(frameon=False, labelcolor=theme.ink, fontsize=8.5)
    panels[0].set_title(plain(record.paper), fontsize=10, color=theme.ink, loc="left")
    panels[-1].set_xlabel(plain(record.x_label))
    _marks(panels, record, theme)
    return signed(figure, record, theme)


def _curve(axes: Axes, record: Reproduction, name: str, theme: Theme) -> None:
    x, ours, theirs, error = (record.data[f"{name}.{key}"] for key in ("x", "ours", "published", "error"))
    order = np.argsort(x)
    bars = np.where(np.isfinite(error), error, 0.0)[order]
    axes.errorbar(x[order], ours[order], yerr=bars, fmt="o-", color=theme.lines[0], capsize=3, lw=1.5, ms=4.5,
                  label="here, with two standard errors")  # fmt: skip
    fit = record.data.get(f"{name}.fit")
    if fit is not None:
        line = fit[0] + fit[1] * np.log(x[order])
        said = f"{fit[0]:.3g} − {-fit[1]:.3g} ln x"
        axes.plot(x[order], line, ":", color=theme.quiet, lw=1.4, label=said)
    known = np.isfinite(theirs[order])
    axes.plot(x[order][known], theirs[order][known], "s--", color=theme.lines[1], lw=1.2, ms=4.5, label="published")
    scale = scale_of(x)
    if (x > 0).all() and x.max() > 5 * x.min():
        axes.set_xscale("log")
        ruled(axes.xaxis, _ticks(x))
    elif not scale.log:
        axes.margins(x=0.05)
    axes.set_ylabel(plain(name))


def _added(axes: Axes, record: Reproduction, theme: Theme) -> None:
    """Beads added at each depth, a line per level, the lowest level darkest on paper."""
    levels, counts = record.data["added.x"], record.data["added.ours"]
    depth = np.arange(1, counts.shape[1] + 1)
    order = np.argsort(levels)[::-1]
    ramp = np.linspace(0.9, 0.05, len(levels)) if theme is LIGHT else np.linspace(0.25, 1, len(levels))
    for shade, k in zip(colormaps[SURFACE](ramp), order, strict=True):
        last = int(np.flatnonzero(counts[k]).max(initial=0)) + 2  # the first depth without a bead ends the line
        axes.plot(depth[:last], counts[k][:last], "o-", color=shade, lw=1.3, ms=3, label=f"{levels[k]:g}")
    axes.set_xlabel("depth")
    axes.set_ylabel("beads added per string")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend = axes.legend(title="level", frameon=False, ncols=2, fontsize=7, title_fontsize=7.5, labelcolor=theme.ink)
    legend.get_title().set_color(theme.ink)


def _ticks(x: np.ndarray) -> list[float]:
    """The values themselves, those left out that would stand on another."""
    found: list[float] = []
    for value in sorted(x.tolist()):
        if not found or value > found[-1] * 1.35:
            found.append(value)
    return found


def _marks(panels: list[Axes], record: Reproduction, theme: Theme) -> None:
    low, high = panels[0].get_xlim()
    shown = [(value, name) for name, value in (record.marks or {}).items() if low < value < high]
    for value, name in sorted(shown):
        for axes in panels:
            axes.axvline(value, color=theme.quiet, lw=1, ls=(0, (1, 2)), zorder=1)
        panels[-1].annotate(
            shortened(name, 44), (value, 0.97), xycoords=("data", "axes fraction"), xytext=(-3, 0),
            textcoords="offset points", rotation=90, ha="right", va="top", fontsize=7, color=theme.quiet,
        )  # fmt: skip
