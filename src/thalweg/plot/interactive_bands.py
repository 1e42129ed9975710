"""Bands over directions in plotly: of a line, by distance on a plane, and of two models beside each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.plot.bands import LEGEND, Band, pieces
from thalweg.plot.interactive_frame import View, axis, layout, numbers, text
from thalweg.plot.scale import Scale, scale_of
from thalweg.plot.style import LIGHT, line_colour
from thalweg.records import Comparison, Surface


def band(x: np.ndarray, values: np.ndarray, scale: Scale, name: str, colour: str, dash: str = "solid") -> list[View]:
    """The median of values [R, n] with the middle half and all of them shaded; one line where R is 1."""
    found, traces = Band.of(values), []
    if len(values) > 1:
        for low, high, weight in ((found.bottom, found.top, 0.13), (found.low, found.high, 0.25)):
            traces.append(filled(x, scale.shown(low), scale.shown(high), colour, weight))
    line: View = {"type": "scatter", "mode": "lines", "x": numbers(x), "y": numbers(scale.shown(found.middle))}
    line |= {"name": name, "line": {"color": colour, "width": 2.4, "dash": dash}}
    return [*traces, line | {"hovertemplate": f"{name} %{{y:.6g}}<extra></extra>"}]


def distance_views(record: Surface) -> list[View]:
    """The mean rise of F at each distance, over all pairs of a plane's directions; none without repeats."""
    if not record.repeats:
        return []
    distances, rise = record.rings
    scale = scale_of(rise)
    title = f"distance from the centre, over {len(record.repeats)} planes ({LEGEND})"
    around = layout(xaxis=axis(title), yaxis=axis(f"mean rise ({scale.name})", scale), showlegend=False)
    return [{"name": "By distance", "data": band(distances, rise, scale, "median", LIGHT.lines[0]), "layout": around}]


def comparison_views(record: Comparison) -> list[View]:
    """The rise of F by distance around two models, as bands over directions; dots where they differ."""
    x, both = record.data["distances"], [record.data["rise_first"], record.data["rise_second"]]
    scale = scale_of(np.concatenate([rise.reshape(-1) for rise in both]))
    traces: list[View] = []
    for i, (name, rise) in enumerate(zip(record.names, both, strict=True)):
        traces += band(x, rise, scale, text(f"{name} ({len(rise)} directions)"), line_colour(LIGHT, i))
    differs = record.data["p"] <= record.level
    if differs.any():
        dots: View = {"type": "scatter", "mode": "markers", "x": numbers(x[differs]), "y": [0.02] * int(differs.sum())}
        dots |= {"yaxis": "y2", "marker": {"color": LIGHT.ink, "size": 6}, "name": f"p ≤ {record.level:g}, adjusted"}
        dots["customdata"] = numbers(record.data["p"][differs])
        traces.append(dots | {"hovertemplate": "p = %{customdata:.3g}<extra></extra>"})
    axes: dict[str, Any] = {"xaxis": axis(f"distance from the centre ({LEGEND})")}
    axes["yaxis"] = axis(f"mean rise of the loss ({scale.name})", scale)
    axes["yaxis2"] = {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True}
    return [{"name": "By distance", "data": traces, "layout": layout(**axes)}]


def filled(x: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str, weight: float) -> View:
    """An area between two edges, interrupted where one is not finite."""
    xs: list[Any] = []
    ys: list[Any] = []
    for across, up in pieces(x, low, high):
        xs += [*numbers(across), None]
        ys += [*numbers(up), None]
    area: View = {"type": "scatter", "mode": "lines", "x": xs, "y": ys, "fill": "toself", "fillcolor": colour}
    area |= {"line": {"width": 0, "color": colour}, "opacity": weight, "hoverinfo": "skip", "showlegend": False}
    return area
