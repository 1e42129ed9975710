"""Instability in plotly: the rise against the fork, and the segments between the copies."""

from __future__ import annotations

import numpy as np

from thalweg.plot.interactive_frame import View, axis, layout, numbers, text
from thalweg.plot.style import LIGHT, line_colour
from thalweg.records import Instability


def instability_views(record: Instability) -> list[View]:
    """The rise of each pair with their mean and the threshold, and the mean segment of each fork."""
    forks, field = record.data["forks"], text(record.field)
    traces: list[View] = []
    for pair in record.instability.T:
        dots: View = {
            "type": "scatter",
            "mode": "markers",
            "x": numbers(forks),
            "y": numbers(pair),
            "showlegend": False,
        }
        traces.append(dots | {"marker": {"color": LIGHT.lines[0], "size": 6, "opacity": 0.45}})
    mean: View = {"type": "scatter", "mode": "lines+markers", "x": numbers(forks), "y": numbers(record.mean)}
    mean |= {"line": {"color": LIGHT.lines[0], "width": 2.5}, "name": "mean of pairs"}
    traces.append(mean | {"hovertemplate": "parted at %{x}: %{y:.4g}<extra></extra>"})
    if forks.size:
        level: View = {"type": "scatter", "mode": "lines", "x": numbers(forks[[0, -1]]), "name": "threshold"}
        level |= {"y": numbers(np.full(2, record.threshold)), "line": {"color": LIGHT.lines[1], "dash": "dash"}}
        traces.append(level)
    axes = {"xaxis": axis("step at which the copies part"), "yaxis": axis(f"rise of the {field} between the copies")}
    segments: list[View] = []
    for i, (fork, errors) in enumerate(zip(forks.tolist(), record.data["errors"], strict=True)):
        line: View = {"type": "scatter", "mode": "lines", "x": numbers(record.data["alphas"])}
        line |= {"y": numbers(errors.mean(axis=0)), "name": f"parted at step {fork:,}"}
        segments.append(line | {"line": {"color": line_colour(LIGHT, i), "width": 2}})
    along = {"xaxis": axis("share of the way from one copy to the other"), "yaxis": axis(field)}
    return [
        {"name": "Instability", "data": traces, "layout": layout(**axes)},
        {"name": "Segments", "data": segments, "layout": layout(**along)},
    ]
