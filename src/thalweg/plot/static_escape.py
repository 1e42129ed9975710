"""A race on paper: survival curves of every rule on each landscape, the table of first passages, the exponents."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, FigureBase
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedFormatter, PercentFormatter

from thalweg.plot.escape import HEAD, begin, cells, curves, ordered, places, powered, rules, titles
from thalweg.plot.scale import decades
from thalweg.plot.static_frame import plain, ruled, shortened, signed, themed
from thalweg.plot.style import LIGHT, Theme, line_colour
from thalweg.records.escapes import Race

LINE = 0.17
"""Height of a line of the table, in inches."""

WIDE = 9.6


def race(record: Race, theme: Theme = LIGHT) -> Figure:
    """Curves above, one panel a landscape with its table below it, and exponents where sizes or gaps differ."""
    shown, rows = list(places(record)), len(rules(record))
    table = LINE * (rows + 2) + 0.15
    top = max(3.3, 0.17 * rows + 0.4)
    powers = (0.23 * len(powered(record)) + 0.9) if powered(record) else 0.0
    heights = [height for _ in shown for height in (top, table)] + ([powers] if powers else [])
    figure = Figure(
        figsize=(WIDE, sum(heights) + 0.7),
        layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.07),
        facecolor=theme.paper,
    )
    FigureCanvasAgg(figure)
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    for i, place in enumerate(shown):
        for part in parts[2 * i : 2 * i + 2]:
            part.set_facecolor(theme.paper)
        _survival(parts[2 * i].subplots(), record, place, theme)
        _table(parts[2 * i + 1].subplots(), record, place, theme)
    if powers:
        parts[-1].set_facecolor(theme.paper)
        _exponents(parts[-1], record, theme)
    return signed(figure, record, theme)


def _survival(axes: Axes, record: Race, place: int, theme: Theme) -> None:
    themed(axes, theme)
    axes.grid(visible=True, color=theme.faint, lw=0.5)
    shown = curves(record, place)
    for curve in shown:
        axes.plot(curve.x, curve.share, curve.dash, color=line_colour(theme, curve.colour), lw=1.6, label=curve.label)
    axes.set_xscale("log")
    low, high = begin(shown), max(float(curve.x.max()) for curve in shown)
    span = high / low
    ticks = decades(low, high, (1, 2, 5) if span < 300 else (1, 3) if span < 3000 else (1,))
    ruled(axes.xaxis, ticks)
    axes.xaxis.set_major_formatter(FixedFormatter([f"{tick:,.0f}" for tick in ticks]))  # steps are counted
    axes.set_xlim(low, high * 1.05)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("steps")
    axes.set_ylabel("starts still above the level")
    where = record.landscapes[place]
    said = f"{titles(record)[place]}: {where.kind}, F = {where.value:.4g}, level {where.level:.4g}"
    said += "" if where.lowest is None else f", smallest eigenvalue {where.lowest:.3g}".replace("-", "−")
    axes.set_title(shortened(said, 110), fontsize=9.5, color=theme.ink, loc="left")
    legend = axes.legend(
        frameon=False, labelcolor=theme.ink, fontsize=7.5, loc="center left", bbox_to_anchor=(1.0, 0.5),
        title="rule  median", handlelength=2.4, labelspacing=0.25,
    )  # fmt: skip
    legend.get_title().set(color=theme.quiet, fontsize=7.5)


def _table(axes: Axes, record: Race, place: int, theme: Theme) -> None:
    """Text in columns, as wide as their widest cell; what was never reached is written in the quiet colour."""
    axes.set_axis_off()
    lines = [HEAD, *(cells(row) for row in ordered(record, place))]
    widths = np.array([max(len(line[i]) for line in lines) for i in range(len(HEAD))], dtype=float) + 2.5
    edges = np.concatenate([[0.0], np.cumsum(widths)]) / widths.sum()
    for j, line in enumerate(lines):
        y = 1 - (j + 0.5) / (len(lines) + 0.5)
        for i, cell in enumerate(line):
            quiet = j == 0 or "not reached" in cell or (i > 4 and line[5] == "0%")
            axes.text(
                edges[i] if i == 0 else edges[i + 1] - 0.012, y, plain(cell), transform=axes.transAxes, fontsize=7.8,
                ha="left" if i == 0 else "right", va="center", color=theme.quiet if quiet else theme.ink,
            )  # fmt: skip
    axes.axhline(1 - 1 / (len(lines) + 0.5), color=theme.faint, lw=0.8)
    axes.set(xlim=(0, 1), ylim=(0, 1))


def _exponents(part: FigureBase, record: Race, theme: Theme) -> None:
    """Each rule's power with its interval, a panel for each quantity that varies."""
    overs = list(dict.fromkeys(e.over for e in record.exponents))
    panels = part.subplots(1, len(overs), sharey=True, squeeze=False)[0]
    names = powered(record)
    for axes, over in zip(panels, overs, strict=True):
        themed(axes, theme)
        axes.grid(visible=True, color=theme.faint, lw=0.5)
        found = {e.what: e for e in record.exponents if e.over == over}
        values: tuple[float, ...] = ()
        for i, name in enumerate(names):
            power = found.get(name)
            if power is None or power.value is None or power.low is None or power.high is None:
                continue
            values = power.values
            reach = np.abs(np.array([[power.value - power.low], [power.high - power.value]]))
            axes.errorbar(
                power.value, i, xerr=np.where(np.isfinite(reach), reach, 0.0), fmt="o", ms=4, capsize=3, lw=1.3,
                color=line_colour(theme, rules(record).index(name)),
            )  # fmt: skip
        axes.axvline(0, color=theme.quiet, lw=0.8)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_yticks(range(len(names)), [shortened(n) for n in names], fontsize=7.8)
        said = ", ".join(f"{v:g}" for v in values)
        axes.set_xlabel(plain(f"power of {over} in the median steps" + (f"  ({over} = {said})" if said else "")))
