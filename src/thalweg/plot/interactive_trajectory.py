"""Trajectories in plotly: over the surface with time as colour, and what the plane does not show of them."""

from __future__ import annotations

import numpy as np

from thalweg.plot.interactive_frame import View, axis, layout, numbers, text
from thalweg.plot.scale import Scale, scale_of
from thalweg.plot.trajectories import PALE, Track, steps, tracks
from thalweg.records import Surface

_WHITE = "rgba(255,255,255,.9)"


def solid_paths(record: Surface, scale: Scale) -> list[View]:
    """Each run in space, at the losses of its true points."""
    found = []
    for track in tracks(record):
        height = scale.shown(record.data["path_loss"][track.rows])
        time = {"color": numbers(track.time), "colorscale": _ramp(track), "cmin": 0, "cmax": 1}
        # the line keeps the run's colour, so that its pale start is seen against a bright surface
        marker = {**time, "size": 3.4, "line": {"color": _fixed(track), "width": 0.5}}
        line = {"color": _fixed(track), "width": 5}
        found.append(
            {**_path(record, track), "type": "scatter3d", "z": numbers(height), "line": line, "marker": marker}
        )
    return found


def flat_paths(record: Surface) -> list[View]:
    """Each run from above, with a halo that parts it from the surface."""
    found: list[View] = []
    for track in tracks(record):
        path = _path(record, track) | {"type": "scatter"}
        halo = {"mode": "lines", "line": {"color": _WHITE, "width": 5}, "showlegend": False}
        found.append({**path, **halo, "hoverinfo": "skip", "hovertemplate": ""})
        time = {"color": numbers(track.time), "colorscale": _ramp(track), "cmin": 0, "cmax": 1, "size": 6}
        marker = {**time, "line": {"color": "rgb(29,39,51)", "width": 0.6}}
        found.append({**path, "line": {"color": _fixed(track), "width": 1.6}, "marker": marker})
    return found


def residual_views(record: Surface) -> list[View]:
    """How far each point lies off the plane, and F there beside F at its projection, as a view each."""
    found, runs = [], tracks(record)
    if not runs:
        return []
    title = steps(record, runs[0])[1]
    away = [_line(steps(record, t)[0], record.data["path_distance"][t.rows], t, t.name, "solid") for t in runs]
    around = layout(xaxis=axis(title), yaxis=axis("distance from the plane"), showlegend=len(runs) > 1)
    found.append({"name": "Off the plane", "data": away, "layout": around})
    if "path_projected" in record.data:
        scale = scale_of(np.concatenate([record.data["path_loss"], record.data["path_projected"]]))
        lines = []
        for track in runs:
            at, prefix = steps(record, track)[0], f"{track.name}, " if len(runs) > 1 else ""
            on, beneath = (scale.shown(record.data[name][track.rows]) for name in ("path_loss", "path_projected"))
            lines.append(_line(at, on, track, f"{prefix}on the path", "solid"))
            lines.append(_line(at, beneath, track, f"{prefix}at its projection", "dash"))
        around = layout(xaxis=axis(title), yaxis=axis(f"loss ({scale.name})", scale))
        found.append({"name": "Loss on the path", "data": lines, "layout": around})
    return found


def _ramp(track: Track) -> list[list[object]]:
    return [[0, PALE], [1, _fixed(track)]]


def _fixed(track: Track) -> str:
    """The run's colour in a form that a change of theme leaves alone: it stands over viridis in both."""
    red, green, blue = (int(track.colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgb({red},{green},{blue})"


def _path(record: Surface, track: Track) -> View:
    path, at = record.data["path"][track.rows], steps(record, track)
    shown = np.stack([record.data["path_loss"][track.rows], at[0], record.data["path_distance"][track.rows]], axis=-1)
    said = f"{at[1]} %{{customdata[1]:,}}<br>F at the true point %{{customdata[0]:.6g}}<br>"
    said += "off the plane %{customdata[2]:.3g}"
    line: View = {"x": numbers(path[:, 0]), "y": numbers(path[:, 1]), "customdata": numbers(shown)}
    name = text(track.name)
    return line | {"name": name, "mode": "lines+markers", "hovertemplate": f"{said}<extra>{name}</extra>"}


def _line(x: np.ndarray, y: np.ndarray, track: Track, name: str, dash: str) -> View:
    shown = text(name)
    line: View = {"type": "scatter", "mode": "lines", "x": numbers(x.astype(float)), "y": numbers(y), "name": shown}
    line["line"] = {"color": _fixed(track), "width": 2, "dash": dash}
    return line | {"hovertemplate": f"{shown} %{{y:.6g}}<extra></extra>"}
