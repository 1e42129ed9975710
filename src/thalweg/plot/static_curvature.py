"""Figures of curvature: the spectral density with bounds of its distribution, an index, a table of sharpness."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator

from thalweg.plot.static_frame import sheet, signed
from thalweg.plot.style import LIGHT, Theme, line_colour
from thalweg.records import (
    Census,
    Classification,
    Count,
    FiniteScale,
    Outliers,
    OutlierStatus,
    SharpnessTable,
    SpectralDensity,
)

WIDTH = 60
"""The smoothing of a density: the range of the spectrum over this."""


def density(record: SpectralDensity, theme: Theme = LIGHT) -> Figure:
    """The smoothed density on a log scale above, the bounds of its distribution function below."""
    figure, (top, bottom) = sheet(theme, (6.8, 5.6), rows=2)
    grid = record.data["grid"]
    if not grid.size:
        top.text(0.5, 0.5, "no product was taken", transform=top.transAxes, ha="center", color=theme.ink)
        return signed(figure, record, theme)
    low, high = record.extremes
    width = (high - low) / WIDTH or 1.0
    fine = np.linspace(grid[0], grid[-1], 1200)
    values = record.density(fine, width)
    floor = 0.1 / (record.size * width)
    top.fill_between(fine, floor, np.maximum(values, floor), color=theme.lines[0], alpha=0.25, lw=0)
    top.plot(fine, np.maximum(values, floor), color=theme.lines[0], lw=1.5)
    top.set_yscale("log")
    top.set_ylim(bottom=floor)
    top.set_ylabel("density (log)")
    top.set_title(f"smoothed over {width:.2g}, estimate", fontsize=8.5, color=theme.quiet, loc="right")
    bottom.fill_between(
        grid, record.data["lower"], record.data["upper"], color=theme.lines[1], alpha=0.3, lw=0, step="mid"
    )
    bottom.plot(grid, record.data["lower"], color=theme.lines[1], lw=1, drawstyle="steps-mid")
    bottom.plot(grid, record.data["upper"], color=theme.lines[1], lw=1, drawstyle="steps-mid")
    bottom.set_ylim(-0.03, 1.03)
    bottom.set_ylabel("share at or below")
    bottom.set_title(f"{record.level:.0%} bounds at each value", fontsize=8.5, color=theme.quiet, loc="right")
    bottom.set_xlabel(f"eigenvalue of the {record.operator}")
    for axes in (top, bottom):
        axes.axvline(0, color=theme.ink, lw=0.8)
        axes.margins(x=0)
    return signed(figure, record, theme)


def finite_scale(record: FiniteScale, theme: Theme = LIGHT) -> Figure:
    """The curvature met along every direction, in order, with what rounding leaves."""
    figure, (axes,) = sheet(theme, (6.8, 3.6))
    found = np.sort(record.data["curvatures"])
    rank = np.arange(1, found.size + 1)
    axes.vlines(rank, 0, found, colors=[theme.lines[0] if v >= 0 else theme.lines[1] for v in found], lw=2)
    axes.errorbar(rank, found, yerr=np.nan_to_num(record.rounding), fmt="o", ms=5, color=theme.ink, capsize=3, lw=1)
    axes.axhline(0, color=theme.ink, lw=0.8)
    axes.set_ylabel("v·(∇F(θ + hv) − ∇F(θ))/h")
    axes.set_xlabel(f"direction, in order; {found.size} unit vectors of {record.data['directions'].shape[1]:,} entries")
    axes.set_title(f"over the distance h = {record.h:g}", fontsize=8.5, color=theme.quiet, loc="right")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return signed(figure, record, theme)


def classification(record: Classification, theme: Theme = LIGHT) -> Figure:
    """The eigenvalues computed, in order, and the strip within which they count as zero."""
    figure, (axes,) = sheet(theme, (6.8, 3.9))
    values = record.eigenvalues
    if values.size:
        rank = np.arange(1, values.size + 1)
        tau = record.threshold
        for which, colour, name in (
            (values < -tau, theme.lines[1], "negative"),
            (np.abs(values) <= tau, theme.quiet, "zero"),
            (values > tau, theme.lines[0], "positive"),
        ):
            if which.any():
                label = f"{int(which.sum()):,} {name}"
                axes.plot(rank[which], values[which], "o", ms=3 if values.size > 60 else 5, color=colour, label=label)
        axes.axhline(0, color=theme.ink, lw=0.8)
        largest = float(np.abs(values).max())
        spread = float(np.abs(values).min()) < 1e-2 * largest
        if spread and tau > 0 and largest > 1e3 * tau:
            linear = max(tau, 1e-6 * largest)
            axes.set_yscale("symlog", linthresh=linear)
            top = math.floor(math.log10(largest))
            decades = [10.0**i for i in range(top, math.ceil(math.log10(linear)), -2)]
            axes.yaxis.set_major_locator(FixedLocator([*(-d for d in decades), 0.0, *decades]))
            axes.set_ylim(values.min() - largest * 0.6, values.max() + largest * 0.6)
        axes.legend(frameon=False, labelcolor=theme.ink, fontsize=8.5, loc="upper left")
    else:
        axes.text(0.5, 0.5, "no eigenvalue was computed", transform=axes.transAxes, ha="center", color=theme.ink)
    log = axes.get_yscale() == "symlog"
    axes.set_ylabel("eigenvalue (log beyond the zero strip)" if log else "eigenvalue")
    axes.set_xlabel(f"order; {values.size:,} of {record.size:,} computed, smallest first")
    axes.set_title(f"{record.kind}, gradient norm {record.gradient_norm:.2g}", fontsize=10, color=theme.ink)
    return signed(figure, record, theme)


def sharpness(record: SharpnessTable, theme: Theme = LIGHT) -> Figure:
    """Every measure, and how many times larger it is at a point with the same function."""
    figure, (axes,) = sheet(theme, (6.8, 4.2))
    lines = [m for m in record.measures if m.value is not None]
    rows = np.arange(len(lines))[::-1]
    ratios = [abs(m.rescaled / m.value) if m.rescaled and m.value else np.nan for m in lines]
    colours = [theme.quiet if m.invariant is None else theme.lines[0 if m.invariant else 1] for m in lines]
    axes.hlines(rows, 1, np.nan_to_num(ratios, nan=1.0), colors=colours, lw=2)
    axes.scatter(np.nan_to_num(ratios, nan=1.0), rows, c=colours, s=30, zorder=3)
    axes.axvline(1, color=theme.ink, lw=0.8)
    axes.set_xscale("log")
    axes.set_yticks(rows, [f"{m.name} = {m.value:.3g}" for m in lines])
    axes.set_xlabel("value at the rescaled point over value here (log)")
    axes.set_title(record.rescaling, fontsize=9, color=theme.quiet, loc="right")
    return signed(figure, record, theme)


def outliers(record: Outliers, theme: Theme = LIGHT) -> Figure:
    """The top of the spectrum on a log scale with its gap and what class means make; overlaps with the gradient."""
    figure, (top, bottom) = sheet(theme, (6.8, 5.2), rows=2)
    values, overlap = record.data["eigenvalues"], record.data["overlap"]
    rank = np.arange(1, values.size + 1)
    shown = values > 0
    apart = (rank <= record.count) & shown
    clear = record.status is OutlierStatus.GAP
    top.plot(rank[apart], values[apart], "o", color=theme.lines[1], label=f"{record.count} above the largest ratio")
    top.plot(rank[shown & ~apart], values[shown & ~apart], "o", color=theme.lines[0], label="below it")
    if "class_means" in record.data:
        means = record.data["class_means"][record.data["class_means"] > 1e-9 * values[0]]
        top.plot(np.arange(1, means.size + 1), means, "x", color=theme.ink, ms=7, label="class means")
    top.axvline(record.count + 0.5, color=theme.quiet, lw=1, ls="-" if clear else ":")
    top.set_yscale("log")
    top.set_ylabel("eigenvalue (log)")
    top.set_title(f"the {record.operator}", fontsize=8.5, color=theme.quiet, loc="left")
    said = f"ratio {record.gap:.3g}, the next {record.next_gap:.3g}" + ("" if clear else ": no gap")
    top.set_title(said, fontsize=8.5, color=theme.quiet, loc="right")
    top.legend(frameon=False, labelcolor=theme.ink, fontsize=8.5)
    bottom.bar(rank, overlap, width=0.7, color=np.where(rank <= record.count, theme.lines[1], theme.lines[0]))
    bottom.set_ylabel("share of ‖∇F‖²")
    bottom.set_xlabel(f"order; the largest {values.size} of {record.size:,}")
    return signed(figure, record, theme)


def census(record: Census, theme: Theme = LIGHT) -> Figure:
    """Index over the number of directions against loss; hollow where the point is not critical; theory as lines."""
    figure, (axes,) = sheet(theme, (6.8, 4.3))
    loss, critical = record.data["loss"], record.data["critical"]
    low, high = record.data["index_low"] / record.size, record.data["index_high"] / record.size
    axes.vlines(loss, low, high, color=theme.faint, lw=3)
    for which, filled, name in ((critical, True, "critical"), (~critical, False, "not critical: no evidence")):
        if which.any():
            face = theme.lines[0] if filled else "none"
            axes.scatter(
                loss[which], low[which], s=26, facecolors=face, edgecolors=theme.lines[0], label=name, zorder=3
            )
    for i, name in enumerate(record.curves):
        label = f"α(ε), {name}"
        axes.plot(
            record.data[f"{name}.loss"],
            record.data[f"{name}.share"],
            "--",
            color=line_colour(theme, 1 + i),
            label=label,
        )
    axes.set_xlabel("loss")
    axes.set_ylabel(f"index / {record.size:,}")
    axes.set_ylim(bottom=-0.02)
    axes.legend(frameon=False, labelcolor=theme.ink, fontsize=8.5)
    return signed(figure, record, theme)


def count(record: Count, theme: Theme = LIGHT) -> Figure:
    """How many different critical points of each index were found, beside how many are known to exist."""
    figure, (axes,) = sheet(theme, (6.8, 3.9))
    index = np.arange(record.data["count"].size)
    axes.bar(index, record.data["count"], width=0.7, color=theme.lines[0], label="found")
    if "known" in record.data:
        known = record.data["known"]
        axes.hlines(known, index - 0.42, index + 0.42, color=theme.lines[1], lw=2, label="known to exist")
        axes.legend(frameon=False, labelcolor=theme.ink, fontsize=8.5)
    axes.set_xticks(index[:: max(1, index.size // 16)])
    axes.set_xlabel(f"index, of {record.size:,} directions")
    axes.set_ylabel("different critical points")
    return signed(figure, record, theme)
