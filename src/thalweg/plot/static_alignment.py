"""An alignment in matplotlib: loss and metrics on the straight segment, before and after."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thalweg.plot.alignment import curves
from thalweg.plot.scale import scale_of
from thalweg.plot.static_frame import plain, ruled, sheet, shortened, signed
from thalweg.plot.style import LIGHT, Theme
from thalweg.records import Alignment


def alignment(record: Alignment, theme: Theme = LIGHT) -> Figure:
    """F on the segment to the second point as it was and as it is aligned; below it every metric."""
    shown = ["loss", *record.metrics]
    figure, panels = sheet(theme, (6.8, 3.4 + 2.0 * (len(shown) - 1)), rows=len(shown))
    for axes, name in zip(panels, shown, strict=True):
        _curves(axes, record, name, theme)
    panels[0].legend(frameon=True, framealpha=0.85, facecolor=theme.paper, edgecolor="none", labelcolor=theme.ink,
                     fontsize=8)  # fmt: skip
    panels[0].set_title(
        plain(f"{record.method}: {record.moved} of {record.units} units moved, "
              f"barrier {record.barrier_before:.3g} → {record.barrier_after:.3g}, "
              f"distance {record.distance_before:.3g} → {record.distance_after:.3g}"),
        fontsize=9, color=theme.ink, loc="left",
    )  # fmt: skip
    first, second = (*record.provenance.points, "a", "b")[:2]
    panels[-1].set_xlabel(f"share of the way from {shortened(first, 24)} to {shortened(second, 24)}")
    return signed(figure, record, theme)


def _curves(axes: Axes, record: Alignment, name: str, theme: Theme) -> None:
    found = curves(record, name)
    scale = scale_of(np.concatenate([curve.values for curve in found]))
    for curve in found:
        colour = theme.lines[0 if curve.after else 1]
        values = np.where(np.isfinite(curve.values), curve.values, np.nan)
        axes.plot(record.data["t"], values, ":" if curve.test else "-", color=colour, lw=1.7, label=curve.label)
    if name == "loss" and scale.log:
        axes.set_yscale("log")
        ruled(axes.yaxis, scale.ticks(6))
    axes.set_ylabel(f"loss ({scale.name})" if name == "loss" else plain(name))
    axes.margins(x=0.02, y=0.1)
