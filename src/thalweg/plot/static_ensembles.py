"""Ensembles against the work that went into them, and the held-out values along a path."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from thalweg.plot.ensembles import curves_of
from thalweg.plot.static_frame import plain, sheet, signed
from thalweg.plot.style import LIGHT, Theme
from thalweg.records import Ensembles, PathSearch


def ensembles(record: Ensembles, theme: Theme = LIGHT) -> Figure:
    """Error against training runs, averaged and of one network alone; bars are standard errors on these rows."""
    figure, (axes,) = sheet(theme, (6.8, 4.4))
    for i, curve in enumerate(curves_of(record)):
        colour = theme.lines[i]
        axes.errorbar(
            curve.runs + 0.03 * i, curve.error, yerr=curve.noise, fmt="-o", color=colour, lw=1.8, ms=5, capsize=3,
            label=f"{curve.name}, {curve.members} networks",
        )  # fmt: skip
        axes.plot(curve.runs + 0.03 * i, curve.alone, ":", color=colour, lw=1.4, label="one of them alone")
    axes.set_xticks(np.unique([row.runs for row in record.rows]))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("training runs")
    axes.set_ylabel(f"error on {record.evaluated_on} rows")
    axes.legend(frameon=False, labelcolor=theme.ink, fontsize=8.5, ncols=2)
    return signed(figure, record, theme)


def path_search(record: PathSearch, theme: Theme = LIGHT) -> Figure:
    """The value along the path on the rows that choose and on those that judge, and the point chosen."""
    figure, (axes,) = sheet(theme, (6.8, 4.4))
    t = record.data["t"]
    sides = (("choosing", record.chosen_on), ("judging", record.judged_on))
    for (name, rows), colour in zip(sides, theme.lines, strict=False):
        axes.plot(t, record.data[name], "-", color=colour, lw=1.8, label=f"{rows:,} rows {name}")
        axes.plot(record.t, record.data[name][record.best], "o", color=colour, ms=7)
    axes.axvline(record.t, color=theme.quiet, ls=(0, (6, 3)), lw=1.0, label=f"chosen, t = {record.t:.3g}")
    axes.set_xlabel("t along the path")
    axes.set_ylabel(f"{plain(record.by)} on held-out rows")
    axes.margins(x=0.02)
    axes.legend(frameon=False, labelcolor=theme.ink, fontsize=8.5)
    return signed(figure, record, theme)
