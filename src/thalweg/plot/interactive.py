"""Plotly figures from records, as plain JSON values: the page themes and draws them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.errors import InputError
from thalweg.plot.scale import Scale, scale_of
from thalweg.plot.style import LINES, SURFACE
from thalweg.records import Profile, Record, Run, Spectrum, Surface

View = dict[str, Any]
"""``{"name", "data", "layout"}``: one way of looking at a record."""


def views(record: Record) -> list[View]:
    """Every interactive view of a record; a surface has two, in three dimensions and from above.

    Raises
    ------
    InputError
        If there is none for its kind.
    """
    if record.kind not in _BY_KIND:
        raise InputError(f"no interactive figure is drawn for a {record.kind} record: there are {', '.join(_BY_KIND)}")
    return _BY_KIND[record.kind](record)


def _surface(record: Surface) -> list[View]:
    x, y = record.axes
    # plotly's z[i][j] lies at (x[j], y[i]); our loss[i, j] lies at (first axis[i], second axis[j])
    z = record.loss.T
    scale = scale_of(record.loss)
    colour = np.log10(z) if scale.log else z
    names = [record.directions.labels[0], record.directions.labels[1]]
    shared: View = {"colorscale": SURFACE.capitalize(), **_colour_axis(scale)}
    hover = f"{names[0]} %{{x:.4g}}<br>{names[1]} %{{y:.4g}}<br>loss %{{customdata:.6g}}<extra></extra>"
    above: View = {"type": "contour", "x": _list(x), "y": _list(y), "z": _list(colour), "customdata": _list(z)}
    above |= {
        **shared,
        "ncontours": 18,
        "line": {"width": 0.5, "color": "rgba(255,255,255,.6)"},
        "hovertemplate": hover,
    }
    solid: View = {"type": "surface", "x": _list(x), "y": _list(y), "z": _list(z), "surfacecolor": _list(colour)}
    solid |= {**shared, "customdata": _list(z), "hovertemplate": hover, "opacity": 0.94}
    flat_traces: list[View] = [above]
    solid_traces: list[View] = [solid]
    if "path" in record.data:
        path, losses = record.data["path"], record.data["path_loss"]
        line: View = {"x": _list(path[:, 0]), "y": _list(path[:, 1]), "customdata": _list(losses), "name": "training"}
        said = "F at the true point %{customdata:.6g}<extra>training</extra>"
        line |= {"mode": "lines+markers", "hovertemplate": said}
        flat_traces.append({**line, "type": "scatter", "line": {"color": LINES[1], "width": 2}, "marker": {"size": 4}})
        solid_traces.append(
            {**line, "type": "scatter3d", "z": _list(losses), "line": {"color": LINES[1], "width": 6}}
            | {"marker": {"size": 2.5, "color": LINES[1]}}
        )
    if record.marks:
        at = np.array([m.coordinates for m in record.marks])
        spots: View = {"x": _list(at[:, 0]), "y": _list(at[:, 1]), "text": [m.name for m in record.marks]}
        spots |= {"mode": "markers+text", "textposition": "top center", "name": "points"}
        losses = np.array([m.loss for m in record.marks])
        spots |= {"customdata": _list(losses), "hovertemplate": "%{text}: loss %{customdata:.6g}<extra></extra>"}
        white = {"color": "#ffffff", "size": 9, "line": {"color": "#1d2733", "width": 1.5}}
        flat_traces.append({**spots, "type": "scatter", "marker": white, "textfont": {"color": "#ffffff"}})
        solid_traces.append({**spots, "type": "scatter3d", "z": _list(losses), "marker": {**white, "size": 4}})
    kind = "log" if scale.log else "linear"
    scene: View = {"xaxis": {"title": {"text": names[0]}}, "yaxis": {"title": {"text": names[1]}}}
    ticks = scale.levels(5)
    height = {
        "title": {"text": "loss"},
        "type": kind,
        "tickvals": _list(ticks),
        "ticktext": [f"{t:.2g}" for t in ticks],
    }
    scene |= {"zaxis": height, "camera": {"eye": {"x": 1.35, "y": -1.35, "z": 0.85}, "center": {"z": -0.15}}}
    scene |= {"aspectmode": "manual", "aspectratio": {"x": 1.15, "y": 1.15, "z": 0.8}}
    flat: View = {"xaxis": {"title": {"text": names[0]}}, "yaxis": {"title": {"text": names[1]}}}
    return [
        {"name": "3-D", "data": solid_traces, "layout": {"scene": scene, "showlegend": False}},
        {"name": "From above", "data": flat_traces, "layout": {**flat, "showlegend": False}},
    ]


def _profile(record: Profile) -> list[View]:
    t = record.data["coordinates"]
    traces: list[View] = [
        {"type": "scatter", "x": _list(t), "y": _list(record.loss), "name": "loss", "line": {"color": LINES[0]}}
    ]
    layout: View = {"xaxis": {"title": {"text": record.directions.labels[0]}}}
    layout["yaxis"] = {"title": {"text": "loss"}, **_axis_kind(scale_of(record.loss).log)}
    for i, name in enumerate(record.metrics):
        traces.append(
            {"type": "scatter", "x": _list(t), "y": _list(record.data[name]), "name": name, "yaxis": "y2"}
            | {"line": {"color": LINES[1 + i], "dash": "dash"}}
        )
        layout["yaxis2"] = {"title": {"text": ", ".join(record.metrics)}, "overlaying": "y", "side": "right"}
    if record.marks:
        spots: View = {
            "x": [m.coordinates[0] for m in record.marks],
            "y": _list(np.array([m.loss for m in record.marks])),
        }
        spots |= {"type": "scatter", "mode": "markers+text", "text": [m.name for m in record.marks], "name": "points"}
        traces.append({**spots, "textposition": "top center", "marker": {"color": LINES[0], "size": 9}})
    return [{"name": "Profile", "data": traces, "layout": layout}]


def _spectrum(record: Spectrum) -> list[View]:
    values, residuals = record.eigenvalues, record.residuals
    bars: View = {"type": "bar", "x": list(range(1, values.size + 1)), "y": _list(values), "width": 0.35}
    bars |= {"error_y": {"type": "data", "array": _list(residuals), "visible": True}, "name": "eigenvalue"}
    bars |= {"marker": {"color": [LINES[0] if v >= 0 else LINES[1] for v in values]}}
    bars |= {"customdata": _list(residuals), "hovertemplate": "λ = %{y:.8g} ± %{customdata:.2g}<extra></extra>"}
    order: View = {"title": {"text": f"order among those found ({record.which})"}, "dtick": 1}
    return [
        {"name": "Spectrum", "data": [bars], "layout": {"xaxis": order, "yaxis": {"title": {"text": "eigenvalue"}}}}
    ]


def _run(record: Run) -> list[View]:
    steps, found = record.data["steps"], []
    for name, title in (("loss", "Loss"), ("gradient_norm", "Gradient norm"), *((m, m) for m in record.metrics)):
        values = record.data[name]
        traces = [
            {"type": "scatter", "x": _list(steps), "y": _list(values[:, b]), "name": label}
            | {"line": {"color": LINES[b % len(LINES)]}}
            for b, label in zip(range(values.shape[1]), record.provenance.points, strict=False)
        ]
        kind = _axis_kind(name not in record.metrics and bool(np.nanmin(values) > 0))
        layout = {"xaxis": {"title": {"text": "steps"}}, "yaxis": {"title": {"text": title.lower()}, **kind}}
        found.append({"name": title[0].upper() + title[1:], "data": traces, "layout": layout})
    return found


_BY_KIND: dict[str, Callable[..., list[View]]] = {
    Surface.kind: _surface,
    Profile.kind: _profile,
    Spectrum.kind: _spectrum,
    Run.kind: _run,
}


def _colour_axis(scale: Scale) -> View:
    """Colour range and bar; under a logarithmic scale the ticks still say losses."""
    ticks = scale.levels(6)
    places = np.log10(ticks) if scale.log else ticks
    low, high = places[0], places[-1]
    bar: View = {"title": {"text": f"loss, {scale.name}", "side": "right"}, "tickvals": _list(places), "thickness": 14}
    names = ("cmin", "cmax")
    return {
        **dict(zip(names, (float(low), float(high)), strict=True)),
        "zmin": float(low),
        "zmax": float(high),
        "colorbar": {**bar, "ticktext": [f"{t:.3g}" for t in ticks]},
    }


def _axis_kind(log: bool) -> View:
    """A logarithmic axis is labelled at 1, 2 and 5 of each decade."""
    return {"type": "log", "dtick": "D2"} if log else {"type": "linear"}


def _list(array: np.ndarray) -> list[Any]:
    """Nested lists with eight significant digits; what is not finite becomes null, a gap in the figure."""
    if array.ndim > 1:
        return [_list(row) for row in array]
    return [float(f"{v:.8g}") if np.isfinite(v) else None for v in array.tolist()]
