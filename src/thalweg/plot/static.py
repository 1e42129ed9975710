"""Matplotlib figures from records: what a paper prints, with what must be known written on the picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from thalweg.errors import InputError
from thalweg.plot.scale import scale_of
from thalweg.plot.style import LIGHT, LINES, NONFINITE, SURFACE, Theme
from thalweg.records import Profile, Record, Run, Slice, Spectrum, Surface

ENDINGS = (".png", ".pdf", ".svg")


def surface(record: Surface, theme: Theme = LIGHT) -> Figure:
    """Filled contours of F with the trajectory, marks and the centre; non-finite cells in grey, and counted."""
    figure, axes = _figure(theme, (6.4, 5.6))
    x, y = record.axes
    loss = record.loss
    scale = scale_of(loss)
    norm = LogNorm(scale.low, scale.high) if scale.log else Normalize(scale.low, scale.high)
    axes.set_facecolor(NONFINITE)
    shown = np.ma.masked_invalid(loss.T)  # matplotlib's rows run along y; our first axis is the first direction
    if np.isfinite(loss).sum() > 3:
        filled = axes.contourf(x, y, shown, levels=scale.levels(), norm=norm, cmap=SURFACE)
        axes.contour(x, y, shown, levels=scale.levels(), norm=norm, colors="white", linewidths=0.4, alpha=0.6)
        bar = figure.colorbar(filled, ax=axes, pad=0.02)
        bar.set_label(f"loss ({scale.name})", color=theme.ink)
        bar.ax.tick_params(colors=theme.ink, which="both", labelsize=8)
        ticks = scale.levels(7)
        bar.set_ticks(ticks.tolist(), labels=[f"{t:.3g}" for t in ticks])
        bar.ax.minorticks_off()
    if "path" in record.data:
        path = record.data["path"]
        axes.plot(path[:, 0], path[:, 1], "-", color="white", lw=2.6, alpha=0.8)
        axes.plot(path[:, 0], path[:, 1], "o-", color=theme.path, lw=1.4, ms=2.5, label="training")
    else:
        axes.plot(0, 0, "+", color="white", ms=10, mew=2)
    for mark in record.marks:
        axes.plot(*mark.coordinates, "o", mfc="white", mec="#1d2733", ms=6, zorder=5)
        axes.annotate(
            mark.name, mark.coordinates, xytext=(7, 6), textcoords="offset points", color="white", fontsize=9,
            bbox={"boxstyle": "round,pad=.25", "fc": "#1d2733", "ec": "none", "alpha": 0.75},
        )  # fmt: skip
    axes.set_xlabel(_label(record, 0))
    axes.set_ylabel(_label(record, 1))
    return _signed(figure, record, theme)


def profile(record: Profile, theme: Theme = LIGHT) -> Figure:
    """F along the line on the left axis, metrics on the right, marks and the barrier between two points."""
    figure, axes = _figure(theme, (6.8, 4.2))
    t = record.data["coordinates"]
    axes.plot(t, record.loss, "-", color=LINES[0], lw=1.8, label="loss")
    scale = scale_of(record.loss)
    if scale.log:
        axes.set_yscale("log")
    axes.set_xlabel(_label(record, 0))
    axes.set_ylabel(f"loss ({scale.name})", color=LINES[0])
    for mark in record.marks:
        axes.plot(mark.coordinates[0], mark.loss, "o", color=LINES[0], ms=6)
        axes.annotate(
            mark.name, (mark.coordinates[0], mark.loss), xytext=(0, 9), textcoords="offset points",
            ha="center", color=theme.ink, fontsize=9,
        )  # fmt: skip
    if len(record.marks) == 2:
        peak = int(np.nanargmax(record.loss)) if np.isfinite(record.loss).any() else 0
        ends = [m.loss for m in record.marks]
        axes.plot([m.coordinates[0] for m in record.marks], ends, ":", color=theme.ink, lw=1)
        axes.annotate(
            f"rises {record.barrier:.3g} above the chord", (t[peak], record.loss[peak]), xytext=(0, 9),
            textcoords="offset points", ha="center", color=theme.ink, fontsize=9,
        )  # fmt: skip
    axes.margins(y=0.15)
    if record.metrics:
        other = axes.twinx()
        for i, name in enumerate(record.metrics):
            other.plot(t, record.data[name], "--", color=LINES[1 + i], lw=1.4, label=name)
        other.set_ylabel(", ".join(record.metrics), color=LINES[1])
        other.tick_params(colors=theme.ink, labelsize=9)
        other.spines[:].set_color(theme.faint)
    return _signed(figure, record, theme)


def spectrum(record: Spectrum, theme: Theme = LIGHT) -> Figure:
    """Eigenvalues in order with their residuals as error bars."""
    figure, axes = _figure(theme, (6.8, 4.2))
    values, residuals = record.eigenvalues, record.residuals
    if values.size:
        rank = np.arange(1, values.size + 1)
        colours = [LINES[0] if v >= 0 else LINES[1] for v in values]
        axes.vlines(rank, 0, values, colors=colours, lw=2)
        axes.errorbar(rank, values, yerr=residuals, fmt="none", ecolor=theme.ink, capsize=4, lw=1)
        axes.scatter(rank, values, c=colours, s=28, zorder=3)
        axes.set_xticks(rank)
        axes.axhline(0, color=theme.ink, lw=0.8)
        size = np.abs(values[values != 0])
        top, bottom = float((values + residuals).max()), float((values - residuals).min())
        axes.set_ylim(min(bottom * 1.6, 0.0), max(top * 1.6, 0.0))
        if size.size and size.max() / size.min() > 100:
            axes.set_yscale("symlog", linthresh=float(size.max()) / 100)
            axes.set_ylabel(f"eigenvalue (linear below {size.max() / 100:.2g}, log above)")
        else:
            axes.set_ylabel("eigenvalue")
    axes.set_xlabel(f"order among those found ({record.which})")
    return _signed(figure, record, theme)


def run(record: Run, theme: Theme = LIGHT) -> Figure:
    """Loss and gradient norm of every network against steps; metrics where there are any."""
    rows = 3 if record.metrics else 2
    figure = Figure(figsize=(6.8, 1.9 * rows + 0.9), layout="constrained", facecolor=theme.paper)
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, 1, sharex=True)
    steps = record.data["steps"]
    shown = [("loss", "loss"), ("gradient_norm", "gradient norm"), *((m, m) for m in record.metrics[:1])]
    for axes, (name, title) in zip(panels, shown, strict=True):
        _themed(axes, theme)
        values = record.data[name]
        for b in range(values.shape[1]):
            label = record.provenance.points[b] if b < len(record.provenance.points) else str(b)
            axes.plot(steps, values[:, b], "-", color=LINES[b % len(LINES)], lw=1.5, label=label)
        if name not in record.metrics and np.nanmin(values) > 0:
            axes.set_yscale("log")
        axes.set_ylabel(title)
    panels[0].legend(frameon=False, labelcolor=theme.ink, fontsize=9)
    panels[-1].set_xlabel("steps")
    return _signed(figure, record, theme)


_BY_KIND: dict[str, Callable[..., Figure]] = {
    "surface": surface,
    "profile": profile,
    "spectrum": spectrum,
    "run": run,
}


def draw(record: Record, theme: Theme = LIGHT) -> Figure:
    """The figure of any record.

    Raises
    ------
    InputError
        If there is none for its kind.
    """
    if record.kind not in _BY_KIND:
        raise InputError(f"no figure is drawn for a {record.kind} record: there are {', '.join(_BY_KIND)}")
    return _BY_KIND[record.kind](record, theme)


def save(record: Record, path: str | Path, theme: Theme = LIGHT) -> None:
    """Write the figure of a record; the ending decides: .png, .pdf or .svg.

    Raises
    ------
    InputError
        If the ending is another.
    """
    ending = Path(path).suffix.lower()
    if ending not in ENDINGS:
        raise InputError(f"{path} ends in {ending or 'nothing'}: a figure is written as {', '.join(ENDINGS)}")
    # Without dates and random ids the same record gives the same file.
    metadata: dict[str, Any] = {".png": {"Software": None}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
    with mpl.rc_context({"svg.hashsalt": "thalweg"}):
        figure = draw(record, theme)
        figure.savefig(path, dpi=160, facecolor=theme.paper, format=ending[1:], metadata=metadata[ending])


def footer(record: Record) -> list[str]:
    """What must be known to read the picture, as lines for its foot."""
    p = record.provenance
    lines = []
    if isinstance(record, Slice):
        d = record.directions
        geometry = ["norms " + ", ".join(f"{n:.3g}" for n in d.norms)]
        if d.cosines:
            geometry.append("cosines " + ", ".join(f"{c:.1e}" for c in d.cosines))
        if d.explained is not None:
            geometry.append("explained " + ", ".join(f"{e:.0%}" for e in d.explained))
        rule = d.recipe.get("norm", d.recipe.get("kind"))
        grid = "×".join(map(str, record.loss.shape))
        lines.append(f"{grid} points, directions: {rule}, {', '.join(geometry)}")
        if "path_distance" in record.data:
            lines.append(f"the path lies up to {record.data['path_distance'].max():.3g} away from this plane")
        if record.nonfinite:
            lines.append(f"{record.nonfinite} of {record.points} points are NaN or infinite (grey)")
    guarantee = record.guarantee.value if record.guarantee is not None else "none"
    statistics = f", statistics {p.statistics}" if p.statistics else ""
    lines.append(f"guarantee: {guarantee} · {p.rows:,} rows · {p.dtype} · {p.backend}{statistics} · seed {p.seed}")
    return lines


def _label(record: Slice, i: int) -> str:
    label = record.directions.labels[i]
    if record.directions.explained is not None:
        label += f" ({record.directions.explained[i]:.0%} of squared distance)"
    return label


def _figure(theme: Theme, size: tuple[float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, layout="constrained", facecolor=theme.paper)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _themed(axes, theme)
    return figure, axes


def _themed(axes: Axes, theme: Theme) -> None:
    axes.set_facecolor(theme.paper)
    axes.tick_params(colors=theme.ink, labelsize=9, which="both")
    axes.spines[:].set_color(theme.faint)
    axes.xaxis.label.set_color(theme.ink)
    axes.yaxis.label.set_color(theme.ink)
    axes.grid(visible=True, color=theme.faint, lw=0.4, alpha=0.6)


def _signed(figure: Figure, record: Record, theme: Theme) -> Figure:
    figure.supxlabel("\n".join(footer(record)), fontsize=7, color=theme.ink, x=0.02, ha="left")
    return figure
