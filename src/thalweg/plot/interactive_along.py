"""What changes along a run in plotly, one view per quantity, and the sharpness against what its step bears."""

from __future__ import annotations

import numpy as np

from thalweg.plot.along import panels, rule_of
from thalweg.plot.interactive_frame import View, axis, layout, numbers, text
from thalweg.plot.scale import scale_of
from thalweg.plot.style import LIGHT, line_colour
from thalweg.records.trajectories import AlongRun, EdgeOfStability


def along_run_views(record: AlongRun) -> list[View]:
    """A view per panel of the printed figure."""
    found = []
    for panel in panels(record):
        values = np.concatenate([curve for _, curve in panel.curves])
        scale = scale_of(values) if panel.log else None
        shown = [
            _line(record.data["steps"], curve if scale is None else scale.shown(curve), name, i)
            for i, (name, curve) in enumerate(panel.curves)
        ]
        title = panel.title if scale is None else f"{panel.title} ({scale.name})"
        around = layout(xaxis=axis("steps"), yaxis=axis(title, scale), showlegend=len(shown) > 1)
        name = panel.title.split(" (")[0]
        found.append({"name": name[0].upper() + name[1:], "data": shown, "layout": around})
    return found


def edge_of_stability_views(record: EdgeOfStability) -> list[View]:
    """The sharpness with the threshold, and the loss."""
    d, steps = record.data, record.data["steps"]
    bound = np.full(2, record.threshold)
    curves = [
        _line(steps, d["sharpness"], "largest eigenvalue", 0),
        _line(steps[[0, -1]], bound, f"{rule_of(record)} = {record.threshold:.4g}", 1, "dash"),
    ]
    scale = scale_of(d["loss"])
    losses = [_line(steps, scale.shown(d["loss"]), "loss", 0)]
    first = layout(xaxis=axis("steps"), yaxis=axis("sharpness") | {"rangemode": "tozero"})
    second = layout(xaxis=axis("steps"), yaxis=axis(f"loss ({scale.name})", scale), showlegend=False)
    return [
        {"name": "Sharpness", "data": curves, "layout": first},
        {"name": "Loss", "data": losses, "layout": second},
    ]


def _line(x: np.ndarray, y: np.ndarray, name: str, number: int, dash: str = "solid") -> View:
    line: View = {"type": "scatter", "mode": "lines", "x": numbers(x), "y": numbers(y), "name": text(name)}
    line["line"] = {"color": line_colour(LIGHT, number), "width": 2, "dash": dash}
    return line | {"hovertemplate": "%{y:.5g} at step %{x}<extra></extra>"}
