"""Curvature at one point in plotly: density with its bounds, eigenvalues by sign, outliers, measures of sharpness."""

from __future__ import annotations

import numpy as np

from thalweg.plot.interactive_frame import View, axis, layout, numbers, text
from thalweg.plot.style import LIGHT
from thalweg.records import Classification, FiniteScale, Outliers, SharpnessTable, SpectralDensity

WIDTH = 60
"""The smoothing of a density: the range of the spectrum over this."""


def density_views(record: SpectralDensity) -> list[View]:
    """The smoothed density on a log scale, and the bounds of the distribution function."""
    grid = record.data["grid"]
    low, high = record.extremes if grid.size else (0.0, 0.0)
    width = (high - low) / WIDTH or 1.0
    fine = np.linspace(grid[0], grid[-1], 600) if grid.size else grid
    floor = 0.1 / (record.size * width)
    name = f"eigenvalue of the {text(record.operator)}"
    curve: View = {"type": "scatter", "mode": "lines", "name": f"smoothed over {width:.2g}"}
    curve |= {"x": numbers(fine), "y": numbers(np.maximum(record.density(fine, width), floor)), "showlegend": False}
    curve |= {"line": {"color": LIGHT.lines[0]}, "hovertemplate": "%{x:.4g}: %{y:.3g}<extra></extra>"}
    bounds: list[View] = []
    for key, fill in (("lower", {}), ("upper", {"fill": "tonexty"})):
        line: View = {"type": "scatter", "mode": "lines", "name": f"{key} bound", "showlegend": False} | fill
        line |= {
            "x": numbers(grid),
            "y": numbers(record.data[key]),
            "hovertemplate": "%{x:.4g}: %{y:.3g}<extra></extra>",
        }
        bounds.append(line | {"line": {"color": LIGHT.lines[1], "shape": "hvh"}})
    logarithmic = axis("density (log)") | {"type": "log"}
    share = axis(f"share at or below, {record.level:.0%} bounds")
    return [
        {"name": "Density", "data": [curve], "layout": layout(xaxis=axis(name), yaxis=logarithmic)},
        {"name": "Distribution", "data": bounds, "layout": layout(xaxis=axis(name), yaxis=share)},
    ]


def finite_scale_views(record: FiniteScale) -> list[View]:
    """The curvature met along every direction, in order."""
    found = np.sort(record.data["curvatures"])
    dots: View = {"type": "scatter", "mode": "markers", "marker": {"color": LIGHT.lines[0], "size": 8}}
    dots |= {"x": list(range(1, found.size + 1)), "y": numbers(found), "hovertemplate": "%{y:.5g}<extra></extra>"}
    across, up = axis("direction, in order"), axis(f"curvature over the distance {record.h:g}")
    return [{"name": "Finite scale", "data": [dots], "layout": layout(xaxis=across, yaxis=up)}]


def classification_views(record: Classification) -> list[View]:
    """The eigenvalues computed, in order, by their sign beyond the zero strip."""
    values, tau = record.eigenvalues, record.threshold
    rank, found = np.arange(1, values.size + 1), []
    for which, colour, name in (
        (values < -tau, LIGHT.lines[1], "negative"),
        (np.abs(values) <= tau, LIGHT.quiet, "zero"),
        (values > tau, LIGHT.lines[0], "positive"),
    ):
        if which.any():
            dots: View = {"type": "scatter", "mode": "markers", "name": f"{int(which.sum()):,} {name}"}
            dots |= {"x": numbers(rank[which]), "y": numbers(values[which]), "marker": {"color": colour, "size": 5}}
            found.append(dots | {"hovertemplate": "%{x}: %{y:.6g}<extra></extra>"})
    along = axis(f"order; {values.size:,} of {record.size:,} computed, smallest first")
    return [{"name": "Eigenvalues", "data": found, "layout": layout(xaxis=along, yaxis=axis("eigenvalue"))}]


def outliers_views(record: Outliers) -> list[View]:
    """The top of the spectrum on a log scale, outliers apart, and what the class means make."""
    values = record.data["eigenvalues"]
    rank, apart = np.arange(1, values.size + 1), np.arange(values.size) < record.count
    found = []
    for which, colour, name in ((apart, LIGHT.lines[1], "above the gap"), (~apart, LIGHT.lines[0], "below")):
        which = which & (values > 0)
        dots: View = {"type": "scatter", "mode": "markers", "name": name, "marker": {"color": colour, "size": 8}}
        dots |= {"x": numbers(rank[which]), "y": numbers(values[which])}
        dots["customdata"] = numbers(record.data["overlap"][which])
        found.append(dots | {"hovertemplate": "%{x}: %{y:.4g}, %{customdata:.3g} of the gradient<extra></extra>"})
    if "class_means" in record.data:
        means = record.data["class_means"][record.data["class_means"] > 1e-9 * values[0]]
        marks: View = {"type": "scatter", "mode": "markers", "name": "class means"}
        marks |= {"x": list(range(1, means.size + 1)), "y": numbers(means)}
        marks |= {"marker": {"color": LIGHT.ink, "size": 9, "symbol": "x-thin-open"}}
        found.append(marks | {"hovertemplate": "class means %{x}: %{y:.4g}<extra></extra>"})
    up = axis(f"eigenvalue of the {text(record.operator)} (log)") | {"type": "log", "dtick": "D2"}
    return [{"name": "Outliers", "data": found, "layout": layout(xaxis=axis("order, largest first"), yaxis=up)}]


def sharpness_views(record: SharpnessTable) -> list[View]:
    """How many times as large each measure is at a point with the same function."""
    lines = [m for m in record.measures if m.value and m.rescaled]
    ratios = np.array([abs((m.rescaled or 0.0) / (m.value or 1.0)) for m in lines])
    colours = [LIGHT.quiet if m.invariant is None else LIGHT.lines[0 if m.invariant else 1] for m in lines]
    bars: View = {"type": "scatter", "mode": "markers", "y": [text(m.name) for m in lines], "x": numbers(ratios)}
    bars |= {"marker": {"color": colours, "size": 10}, "customdata": [f"{m.value:.4g}" for m in lines]}
    bars |= {"hovertemplate": "%{y} = %{customdata}, times %{x:.4g}<extra></extra>", "showlegend": False}
    along = axis("value at the rescaled point over value here (log)") | {"type": "log"}
    upright = axis("") | {"autorange": "reversed"}
    return [{"name": "Sharpness", "data": [bars], "layout": layout(xaxis=along, yaxis=upright)}]
