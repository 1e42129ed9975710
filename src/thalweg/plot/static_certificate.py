"""Figure of a certificate: where the smallest eigenvalue lies against what is asked, and F along the way out."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thalweg.plot.static_frame import sheet, signed
from thalweg.plot.style import LIGHT, Theme
from thalweg.records import Certificate


def certificate(record: Certificate, theme: Theme = LIGHT) -> Figure:
    """The bracket of the smallest eigenvalue beside the curvature asked for; below it F along the escape."""
    left = record.step is not None and "along" in record.data
    figure, axes = sheet(theme, (6.8, 5.0 if left else 2.4), rows=2 if left else 1, shared=False)
    _bracket(axes[0], record, theme)
    if left:
        _escape(axes[1], record, theme)
    return signed(figure, record, theme)


def _bracket(axes: Axes, record: Certificate, theme: Theme) -> None:
    low, high, asked = record.smallest.lower, record.smallest.upper, -record.curvature
    name = record.status.name.lower().replace("_", " ").replace("second order", "second-order")
    axes.set_title(f"{name}, gradient norm {record.gradient_norm:.2g}", fontsize=10, color=theme.ink, loc="left")
    axes.set_yticks([])
    axes.set_ylim(-1, 1)
    if high is None:
        axes.text(0.5, 0.5, "no eigenvalue was computed", transform=axes.transAxes, ha="center", color=theme.ink)
        return
    colour = theme.lines[0] if record.stationary else theme.lines[1]
    ends = [asked, high, *([] if low is None else [low])]
    left, right = 4 * min(ends), 4 * max(*ends, record.curvature)
    axes.plot([left if low is None else low, high], [0, 0], color=colour, lw=8, solid_capstyle="butt", alpha=0.45)
    for end in (low, high):
        if end is not None:
            axes.plot(end, 0, "|", ms=20, mew=2, color=colour)
    chance = (
        "no lower end" if low is None else "exact" if record.failure == 0 else f"lower end but for {record.failure:.0e}"
    )
    axes.set_title(f"smallest eigenvalue: {chance}", fontsize=8.5, color=theme.quiet, loc="right")
    axes.axvline(asked, color=theme.ink, lw=1, ls="--")
    axes.axvline(0, color=theme.ink, lw=0.8)
    axes.set_xscale("symlog", linthresh=record.curvature)
    axes.set_xlim(left, right)
    axes.set_xlabel(f"eigenvalue (log beyond the curvature asked: −{record.curvature:.2g}, dashed)")


def _escape(axes: Axes, record: Certificate, theme: Theme) -> None:
    steps, values = record.data["steps"], record.data["along"] - record.value
    assert record.step is not None and record.decrease is not None
    near = np.abs(steps) <= 2.5 * record.step
    axes.plot(steps[near], values[near], "o-", ms=3, lw=1.3, color=theme.lines[0])
    axes.plot(
        record.step,
        -record.decrease,
        "o",
        ms=7,
        color=theme.lines[1],
        label=f"escape: F falls by {record.decrease:.3g}",
    )
    axes.axhline(0, color=theme.ink, lw=0.8)
    axes.set_xlabel("step along the direction of the smallest Ritz value")
    axes.set_ylabel("F minus F at the point")
    low, high = -record.decrease, float(np.nanmax(values[near]))
    axes.set_ylim(low - 0.15 * record.decrease, min(high, record.decrease) + 0.15 * record.decrease)
    axes.legend(frameon=False, labelcolor=theme.ink, fontsize=8.5, loc="upper center")
