"""Curves: a profile with its metrics, a spectrum with its residuals, a run against its steps."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thalweg.plot.bands import LEGEND, Band, along, drawn, shown
from thalweg.plot.curves import MANY, chord_of, rise_of, run_labels, symlog_threshold
from thalweg.plot.footer import order_of
from thalweg.plot.static_bands import above, band
from thalweg.plot.static_frame import plain, scaled, sheet, shortened, signed, themed
from thalweg.plot.style import LIGHT, Theme, line_colour
from thalweg.records import Profile, Run, Spectrum


def profile(record: Profile, theme: Theme = LIGHT) -> Figure:
    """F along the line on the left axis, metrics on the right, test rows dashed, marks, and the rise between points.

    Over several directions the lines are medians, with the middle half of the directions and all of them shaded.
    """
    figure, (axes,) = sheet(theme, (6.8, 4.3))
    t = record.data["coordinates"]
    band(axes, t, shown(record), theme.lines[0], label="training rows" if record.tested else "loss")
    if record.tested:
        middle = Band.of(record.each("test_loss")).middle  # a second band would only darken the first
        axes.plot(t, middle, "--", color=theme.lines[0], lw=1.8, label="test rows")
    if record.sampling is not None:
        edges = (record.data["lower"], record.data["upper"])
        label = f"{record.sampling.level:.0%} interval"
        axes.fill_between(t, *edges, color=theme.lines[0], alpha=0.2, lw=0, label=label)
    if record.tested or record.repeats or record.sampling is not None:
        above(axes, theme, LEGEND if record.repeats else "")
    axes.set_xlabel(shortened(along(record), 62))
    axes.set_ylabel(f"loss ({scaled(axes, drawn(record))})", color=theme.lines[0])
    for mark in record.marks:
        axes.plot(mark.coordinates[0], mark.loss, "o", color=theme.lines[0], ms=6)
        left = mark.coordinates[0] > t[0] + 0.85 * (t[-1] - t[0])
        right = mark.coordinates[0] < t[0] + 0.15 * (t[-1] - t[0])
        axes.annotate(
            shortened(mark.name), (mark.coordinates[0], mark.loss), xytext=(0, -9), textcoords="offset points",
            ha="right" if left else "left" if right else "center", va="top", color=theme.ink, fontsize=9,
        )  # fmt: skip
    rise = rise_of(record)
    if rise is not None:
        axes.plot(t, chord_of(record), ":", color=theme.quiet, lw=1.2, label="straight line between the ends")
        axes.annotate(
            "", (rise.at, rise.top), (rise.at, rise.foot), arrowprops={"arrowstyle": "<->", "color": theme.quiet}
        )
        axes.annotate(
            f"rises {rise.height:.3g} above\nthe straight line", (rise.at, rise.middle(axes.get_yscale() == "log")),
            xytext=(7, 0), textcoords="offset points", color=theme.ink, fontsize=8.5, va="center",
            bbox={"fc": theme.paper, "ec": "none", "alpha": 0.8, "pad": 1},
        )  # fmt: skip
    axes.margins(x=0.02, y=0.16)
    if record.metrics:
        _metrics(axes, record, theme)
    return signed(figure, record, theme)


def _metrics(axes: Axes, record: Profile, theme: Theme) -> None:
    other = axes.twinx()
    themed(other, theme)
    axes.set_zorder(other.get_zorder() + 1)  # what is written on the loss stays above the metrics
    axes.patch.set_visible(False)
    for i, name in enumerate(record.metrics):
        colour = line_colour(theme, 1 + i)
        for held, style in ((name, "-"), (f"test_{name}", "--")):
            if held in record.data:
                middle = record.median(held)
                finite = np.where(np.isfinite(middle), middle, np.nan)
                label = plain(name) if held == name else None
                other.plot(record.data["coordinates"], finite, style, color=colour, lw=1.1, label=label)
    one = len(record.metrics) == 1
    other.set_ylabel(plain(", ".join(record.metrics)), color=theme.lines[1] if one else theme.ink)
    if not one:
        other.legend(frameon=False, labelcolor=theme.ink, fontsize=8)


def spectrum(record: Spectrum, theme: Theme = LIGHT) -> Figure:
    """Eigenvalues in order with their residuals as error bars; symmetric-log where the range is large."""
    figure, (axes,) = sheet(theme, (6.8, 4.3))
    values, residuals = record.eigenvalues, record.residuals
    name = "eigenvalue"
    if np.isfinite(values).any():
        rank = np.arange(1, values.size + 1)
        colours = [theme.lines[0] if v >= 0 else theme.lines[1] for v in values]
        axes.vlines(rank, 0, values, colors=colours, lw=2)
        axes.errorbar(rank, values, yerr=residuals, fmt="none", ecolor=theme.ink, capsize=4, lw=1)
        axes.scatter(rank, values, c=colours, s=28, zorder=3)
        axes.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
        axes.axhline(0, color=theme.ink, lw=0.8)
        top, bottom = float(np.nanmax(values + residuals)), float(np.nanmin(values - residuals))
        axes.set_ylim(min(bottom * 1.5, 0.0), max(top * 1.5, 0.0) or 1.0)
        linear = symlog_threshold(record)
        if linear is not None:
            axes.set_yscale("symlog", linthresh=linear)
            name = f"eigenvalue (log; linear within ±{linear:.2g})"
    else:
        axes.text(0.5, 0.5, "no eigenvalue was found", transform=axes.transAxes, ha="center", color=theme.ink)
    axes.set_ylabel(name)
    axes.set_xlabel(plain(order_of(record)))
    return signed(figure, record, theme)


def run(record: Run, theme: Theme = LIGHT) -> Figure:
    """Loss, gradient norm and every metric of each descent against steps."""
    shown = [("loss", "loss"), ("gradient_norm", "gradient norm"), *((m, m) for m in record.metrics)]
    figure, panels = sheet(theme, (6.8, 1.75 * len(shown) + 1.1), rows=len(shown))
    steps, labels = record.data["steps"], run_labels(record)
    many = len(labels) > MANY
    for axes, (name, title) in zip(panels, shown, strict=True):
        values = record.data[name]
        for b, label in enumerate(labels):
            colour = theme.lines[0] if many else line_colour(theme, b)
            finite = np.where(np.isfinite(values[:, b]), values[:, b], np.nan)
            axes.plot(steps, finite, "-", color=colour, lw=0.8 if many else 1.5, alpha=0.5 if many else 1, label=label)
        if name not in record.metrics:
            scaled(axes, values)
        axes.set_ylabel(plain(title))
        axes.margins(x=0.02)
    if many:
        panels[0].set_title(f"{len(labels)} descents", fontsize=9, color=theme.ink, loc="left")
    else:
        for line, label in zip(panels[0].lines, labels, strict=True):
            line.set_label(shortened(label))
        panels[0].legend(frameon=False, labelcolor=theme.ink, fontsize=8.5)
    panels[-1].set_xlabel("steps")
    return signed(figure, record, theme)
