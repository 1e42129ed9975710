"""Two records of one kind in plotly: curves in one frame, surfaces beside each other under one colour scale."""

from __future__ import annotations

import numpy as np

from thalweg.plot.interactive_frame import View, axis, layout, numbers, text
from thalweg.plot.interactive_surface import flat_view
from thalweg.plot.pairs import Panel
from thalweg.plot.scale import scale_of
from thalweg.plot.style import LIGHT
from thalweg.records import Surface

GAP = 0.13
"""Between two pictures, as a share of the width."""


def pair_view(panel: Panel, names: tuple[str, str]) -> View:
    """The curves of both records, each in its own colour."""
    scale = scale_of(panel.values) if panel.log else None
    traces: list[View] = []
    for which, (name, curves) in enumerate(zip(names, (panel.first, panel.second), strict=True)):
        for curve in curves:
            label = text(f"{name}, {curve.name}" if curve.name else name)
            y = curve.y if scale is None else scale.shown(curve.y)
            trace: View = {"type": "scatter", "x": numbers(curve.x), "y": numbers(y), "name": label}
            trace["mode"] = "markers" if curve.dots else "lines"
            trace["line"] = {"color": LIGHT.lines[which], "width": 2, "dash": "dash" if curve.dash else "solid"}
            trace["marker"] = {"color": LIGHT.lines[which], "size": 9, "symbol": ("circle", "diamond")[which]}
            if curve.error is not None:
                bars = {"type": "data", "array": numbers(curve.error), "visible": True, "color": LIGHT.lines[which]}
                trace["error_y"] = bars
            traces.append(trace | {"hovertemplate": f"{label} %{{y:.6g}}<extra></extra>"})
    up = text(panel.up, 60) if scale is None else f"{text(panel.up, 60)} ({scale.name})"
    around = layout(xaxis=axis(text(panel.across, 60)), yaxis=axis(up, scale), showlegend=True)
    return {"name": text(panel.name), "data": traces, "layout": around}


def surfaces_view(names: tuple[str, str], surfaces: tuple[Surface, Surface]) -> View:
    """Both from above, on one colour scale and with one colour bar."""
    scale = scale_of(np.concatenate([record.loss.ravel() for record in surfaces]), clip=True)
    mine, theirs = (flat_view(record, scale) for record in surfaces)
    second = [{**trace, "xaxis": "x2", "yaxis": "y2", "showscale": False} for trace in theirs["data"]]
    notes = [*mine["layout"]["annotations"]]
    notes += [{**note, "xref": "x2", "yref": "y2"} for note in theirs["layout"]["annotations"]]
    middle = (1 - GAP) / 2
    axes: View = {}
    for which, (view, ends) in enumerate(((mine, [0, middle]), (theirs, [1 - middle, 1]))):
        number = "2" * which
        axes[f"xaxis{number}"] = view["layout"]["xaxis"] | {"domain": ends, "anchor": f"y{number}"}
        axes[f"yaxis{number}"] = view["layout"]["yaxis"] | {"domain": [0, 1], "anchor": f"x{number}"}
        head: View = {"text": text(names[which]), "showarrow": False, "font": {"color": LIGHT.ink, "size": 14}}
        head |= {"xref": f"x{number} domain", "yref": f"y{number} domain", "x": 0, "y": 1}
        notes.append(head | {"xanchor": "left", "yanchor": "bottom"})
    around = layout(**axes, showlegend=False, annotations=notes)
    around["margin"] = around["margin"] | {"t": 40}
    return {"name": "From above", "data": [*mine["data"], *second], "layout": around}
