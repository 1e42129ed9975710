"""A graph of minima in plotly: the disconnectivity graph, and components against level."""

from __future__ import annotations

import numpy as np

from thalweg.plot.graphs import joints, stairs
from thalweg.plot.interactive_frame import View, axis, layout, numbers, text
from thalweg.plot.scale import scale_of
from thalweg.plot.style import LIGHT
from thalweg.records import MinimaGraph


def minima_graph_views(record: MinimaGraph) -> list[View]:
    """Minima that meet at saddles, and how many components each level has."""
    values = record.data["values"]
    scale = scale_of(np.concatenate([values, record.saddles]))
    at, found = joints(record)
    traces: list[View] = []
    for joint in found:
        line: View = {"type": "scatter", "mode": "lines", "x": numbers(joint.outline[:, 0])}
        line |= {"y": numbers(scale.shown(joint.outline[:, 1])), "line": {"color": LIGHT.lines[0], "width": 2.5}}
        line["hovertemplate"] = f"meet at {joint.level:.6g}<extra></extra>"
        traces.append(line)
    order = sorted(at, key=lambda i: at[i])
    leaves: View = {"type": "scatter", "mode": "markers", "x": numbers(np.array([at[i] for i in order]))}
    leaves |= {"y": numbers(scale.shown(values[order])), "cliponaxis": False}
    leaves |= {"marker": {"color": LIGHT.lines[1], "size": 9}, "text": [text(record.names[i]) for i in order]}
    traces.append(leaves | {"hovertemplate": "%{text}: %{y:.6g}<extra></extra>"})
    names = axis("minima") | {"tickvals": list(range(len(order))), "showgrid": False, "zeroline": False}
    names["ticktext"] = [text(record.names[i], 24) for i in order]
    levels = axis(f"loss ({scale.name})", scale)
    tree: View = {"name": "Disconnectivity", "data": traces}
    tree["layout"] = layout(xaxis=names, yaxis=levels, showlegend=False)
    across, up = stairs(record, scale)
    steps: View = {"type": "scatter", "mode": "lines", "x": numbers(across), "y": numbers(up)}
    steps |= {"line": {"color": LIGHT.lines[0], "width": 2.5}}
    steps["hovertemplate"] = "%{x} components at %{y:.6g}<extra></extra>"
    count = axis("components at or below the level") | {"rangemode": "tozero"}
    around = layout(xaxis=count, yaxis=levels, showlegend=False)
    return [tree, {"name": "Components", "data": [steps], "layout": around}]
