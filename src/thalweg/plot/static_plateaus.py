"""Plateaus under the loss, the terms of an error, the funnel, and where descent from a plane's cells ends."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from thalweg.plot.scale import scale_of
from thalweg.plot.static_along import tiles
from thalweg.plot.static_frame import ruled, scaled, sheet, shortened, signed
from thalweg.plot.style import LIGHT, SURFACE, Theme, line_colour
from thalweg.records.error_terms import ErrorTerms
from thalweg.records.funnels import DescentBasins, Funnel
from thalweg.records.plateaus import Plateaus

TOLD = 8
"""Plateaus of which the figure says in words what they are; the record holds them all."""


def plateaus(record: Plateaus, theme: Theme = LIGHT) -> Figure:
    """F above its least value with the plateaus shaded by kind, the gradient norm below, and a line on each."""
    figure, (above, below) = sheet(theme, (7.2, 5.4), rows=2)
    d = record.data
    shown = d["loss"] - record.least
    above.plot(d["steps"], shown, color=theme.ink, lw=1.5)
    scale = scaled(above, shown)
    named = "loss" if record.least == 0 else f"loss − {record.least:.4g}"
    above.set_ylabel(f"{named} ({scale})")
    below.plot(d["steps"], d["gradient_norm"], color=theme.ink, lw=1.3)
    below.set_ylabel(f"gradient norm ({scaled(below, d['gradient_norm'])})")
    below.set_xlabel("steps")
    kinds = list(dict.fromkeys(p.kind for p in record.plateaus))
    for i, plateau in enumerate(record.plateaus):
        colour = line_colour(theme, kinds.index(plateau.kind))
        for axes in (above, below):
            axes.axvspan(plateau.first, plateau.last, color=colour, alpha=0.22, lw=0)
        at = int(np.argmin(np.abs(d["steps"] - plateau.flattest)))
        below.plot(d["steps"][at], d["gradient_norm"][at], "o", ms=4.5, color=colour)
        if len(record.plateaus) <= TOLD:
            middle = (plateau.first + plateau.last) / 2
            above.annotate(
                str(i + 1), (middle, 1.0), xycoords=("data", "axes fraction"), xytext=(0, -11),
                textcoords="offset points", ha="center", fontsize=8.5, color=theme.ink,
            )  # fmt: skip
    if kinds:
        patches = [Patch(color=line_colour(theme, i), alpha=0.35, label=kind) for i, kind in enumerate(kinds)]
        above.legend(
            handles=patches, frameon=False, labelcolor=theme.ink, fontsize=8.5, ncols=min(4, len(kinds)),
            loc="lower left", bbox_to_anchor=(0, 1), borderpad=0.1,
        )  # fmt: skip
    lines = [f"{i + 1}. {p}" for i, p in enumerate(record.plateaus[:TOLD])]
    if lines:
        below.annotate(
            "\n".join(lines), (0, 0), xycoords="axes fraction", xytext=(0, -40), textcoords="offset points",
            va="top", fontsize=7.5, color=theme.ink,
        )  # fmt: skip
    return signed(figure, record, theme)


def error_terms(record: ErrorTerms, theme: Theme = LIGHT) -> Figure:
    """What the test error is made of against steps, stacked where all terms are known; else the optimisation error."""
    generalisation = record.generalisation
    figure, panels = sheet(
        theme, (6.8, 5.2 if generalisation is not None else 3.6), rows=1 + (generalisation is not None)
    )
    steps = record.data["steps"]
    panels[0].plot(steps, record.non_convergence, color=theme.lines[0], lw=1.7, label="non-convergence: F − F(w∞)")
    held = np.abs(record.non_convergence)
    bound = np.full(len(steps), record.infinite_time)
    large = record.infinite_time > 1e-9 * float(held.max(initial=0.0))
    told = "infinite time: F(w∞) − F*" + ("" if large else f" = {record.infinite_time:.1g}, not drawn")
    panels[0].plot(steps, bound if large else bound * np.nan, color=theme.lines[1], lw=1.5, ls="--", label=told)
    scale = scaled(panels[0], np.concatenate([record.non_convergence, bound]) if large else record.non_convergence)
    panels[0].set_ylabel(f"optimisation error\n({scale})")
    panels[0].legend(frameon=False, labelcolor=theme.ink, fontsize=8.5)
    if generalisation is not None and record.best is not None:
        terms = [
            ("representation", np.full(len(steps), record.best)),
            ("generalisation", generalisation),
            ("infinite time", bound),
            ("non-convergence", record.non_convergence),
        ]
        for i, (name, values) in enumerate(terms):
            panels[1].plot(steps, values, lw=1.5, color=line_colour(theme, (2, 3, 1, 0)[i]), label=name)
        panels[1].plot(steps, record.data["test"], lw=1.9, color=theme.ink, label="test error: their sum")
        panels[1].axhline(0, color=theme.quiet, lw=0.7)
        panels[1].set_ylabel("error (linear scale)")
        panels[1].legend(frameon=False, labelcolor=theme.ink, fontsize=8, ncols=2)
    panels[-1].set_xlabel("steps")
    return signed(figure, record, theme)


def funnel(record: Funnel, theme: Theme = LIGHT) -> Figure:
    """One panel per run: every descent's loss against its distance to where it ends."""
    count = len(record.runs)
    figure, grid = tiles(theme, count, max(min(3, count), 1), height=2.6)
    scale = scale_of(record.data["loss"])
    for i, (name, axes) in enumerate(zip(record.runs, grid, strict=False)):
        held = record.of(i)
        for b in held:
            at = record.data["descent"] == b
            axes.plot(
                record.data["distance"][at], scale.shown(record.data["loss"][at]), "-", lw=0.9,
                color=line_colour(theme, i), alpha=max(0.25, min(1.0, 6 / held.size)),
            )  # fmt: skip
        median = float(np.median(record.data["rank_correlation"][held])) if held.size else float("nan")
        axes.set_title(f"{shortened(name, 28)}: rank correlation {median:.3f}", fontsize=8.5, color=theme.ink)
        axes.set_xlabel("distance to the end", fontsize=8)
        axes.set_xlim(left=0)
        if scale.log:
            axes.set_yscale("log")
            ruled(axes.yaxis, scale.ticks(6))
    if grid:
        grid[0].set_ylabel(f"loss ({scale.name})", fontsize=8)
    return signed(figure, record, theme)


def descent_basins(record: DescentBasins, theme: Theme = LIGHT) -> Figure:
    """F on the plane; what descent reaches from each cell, bad starts hatched; the same with noise."""
    noisy = "noisy" in record.data
    titles = [("loss", "F at the start"), ("reached", f"reached by {record.rule}")]
    titles += [("noisy", f"reached by {record.noise}")] if noisy else []
    figure, grid = tiles(theme, len(titles), len(titles), height=3.3)
    ends = np.concatenate([record.data[name].ravel() for name, _ in titles[1:]])
    for axes, (name, title) in zip(grid, titles, strict=True):
        values = record.data[name]
        scale = scale_of(values if name == "loss" else ends, clip=True)
        norm = LogNorm(scale.low, scale.high) if scale.log else Normalize(scale.low, scale.high)
        drawn = axes.pcolormesh(record.data["x"], record.data["y"], scale.shown(values).T, cmap=SURFACE, norm=norm)
        bar = figure.colorbar(drawn, ax=axes, orientation="horizontal", pad=0.02, fraction=0.06)
        bar.ax.tick_params(labelsize=7, colors=theme.ink)
        bar.outline.set_edgecolor(theme.faint)
        if scale.log:
            ruled(bar.ax.xaxis, scale.ticks(4))
        worst = record.bad if name == "reached" else record.left_bad if name == "noisy" else None
        if worst is not None:
            _hatched(axes, record, worst)
            share = float(worst.sum()) / max(int(record.known.sum()), 1)
            title += f"\nbad starts (hatched): {share:.1%}"
        axes.set_title(title, fontsize=8.5, color=theme.ink)
        axes.set_xlabel(shortened(record.labels[0], 22), fontsize=8)
        axes.set_aspect("equal" if np.ptp(record.data["x"]) == np.ptp(record.data["y"]) else "auto")
        axes.grid(visible=False)
    grid[0].set_ylabel(shortened(record.labels[1], 22), fontsize=8)
    return signed(figure, record, theme)


def _hatched(axes: Axes, record: DescentBasins, worst: np.ndarray) -> None:
    """Bad starts under lines, cell by cell: a colour of their own would change that of what they reach."""
    x, y = _edges(record.data["x"]), _edges(record.data["y"])
    cells = [
        [(x[i], y[j]), (x[i + 1], y[j]), (x[i + 1], y[j + 1]), (x[i], y[j + 1])] for i, j in np.argwhere(worst).tolist()
    ]
    if cells:
        axes.add_collection(PolyCollection(cells, facecolors="none", edgecolors="white", linewidths=0, hatch="////"))


def _edges(centres: np.ndarray) -> np.ndarray:
    """Where the cells about these coordinates [n] meet, [n + 1]; the outer ones are as wide as their neighbours."""
    if centres.size < 2:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])
