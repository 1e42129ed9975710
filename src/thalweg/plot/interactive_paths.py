"""Paths in plotly: F along each, length against level, and how a string grew."""

from __future__ import annotations

import numpy as np

from thalweg.plot.interactive_frame import View, axis, layout, numbers, text
from thalweg.plot.paths import levels, profiles, scale_of_paths, stages, steep, tops
from thalweg.plot.style import LIGHT, line_colour
from thalweg.records import Connection, Path, PathStatus

SYMBOLS = {PathStatus.CONNECTED: "circle", PathStatus.SEPARATED: "square", PathStatus.INCONCLUSIVE: "x"}


def path_views(record: Path) -> list[View]:
    """The profile, and how the path grew where it did."""
    grown = stages(record)
    if not grown:
        return [_profiles(record)]
    values = np.concatenate([stage.loss for stage in grown])
    scale = steep(np.concatenate([values[np.isfinite(values)], [record.level]]))
    traces = []
    for i, stage in enumerate(grown):
        added = len(stage.beads) - 2
        name = f"depth {stage.depth}: {added} bead{'s' if added != 1 else ''}"
        traces.append(_line(stage.share, scale.shown(stage.loss), name, line_colour(LIGHT, i)))
        traces.append(_dots(stage.beads, scale.shown(stage.heights), name, line_colour(LIGHT, i)))
    traces += _levels({"level": record.level})
    axes = {"xaxis": axis("share of the path's length"), "yaxis": axis(f"loss while it grew ({scale.name})", scale)}
    return [_profiles(record), {"name": "Growth", "data": traces, "layout": layout(**axes)}]


def connection_views(record: Connection) -> list[View]:
    """Profiles of all methods, and the largest F of each against its length."""
    if not record.rows:
        note: View = {"text": "no method applied", "showarrow": False, "x": 0.5, "y": 0.5, "xref": "paper"}
        note |= {"yref": "paper", "font": {"color": LIGHT.ink}}
        return [{"name": "Profiles", "data": [], "layout": layout(annotations=[note])}]
    found = tops(record)
    scale = steep(np.array([record.level, *(top.low for top in found)]))
    traces = []
    for top in found:
        spot: View = {"type": "scatter", "mode": "markers+text", "x": [top.length], "name": text(top.name)}
        spot |= {"y": numbers(scale.shown(np.array([top.low]))), "text": [text(top.name)], "cliponaxis": False}
        spot |= {"textposition": "top center", "showlegend": False}
        spot["marker"] = {"color": line_colour(LIGHT, top.row), "size": 11, "symbol": SYMBOLS[top.status]}
        said = f"{text(top.name)}: {top.status.name.lower()}<br>largest F %{{y:.6g}}, length %{{x:.4g}}<extra></extra>"
        traces.append(spot | {"hovertemplate": said})
    widest = [1.0, max((top.length for top in found), default=1.0) * 1.05]
    traces += _levels(levels(record, scale), widest)
    axes = {
        "xaxis": axis("length over the straight distance"),
        "yaxis": axis(f"largest F on the path ({scale.name})", scale),
    }
    return [_profiles(record), {"name": "Length against level", "data": traces, "layout": layout(**axes)}]


def _profiles(record: Connection | Path) -> View:
    scale = scale_of_paths(record)
    walks, traces = profiles(record), []
    for i, walk in enumerate(walks):
        colour, name = line_colour(LIGHT, i), text(walk.name) if len(walks) > 1 else "loss"
        dash = "solid" if i < len(LIGHT.lines) else "dash"
        traces.append(_line(walk.share, scale.shown(walk.loss), name, colour, dash) | {"legendgroup": name})
        beads = np.interp(walk.knots, walk.share, scale.shown(walk.loss))
        traces.append(_dots(walk.knots, beads, name, colour) | {"legendgroup": name})
        if walk.test is not None:
            tested = _line(walk.share, scale.shown(walk.test), f"{name}, test rows", colour, "dot")
            traces.append(tested | {"legendgroup": name})
    traces += _levels(levels(record, scale))
    axes = {"xaxis": axis("share of the path's length"), "yaxis": axis(f"loss ({scale.name})", scale)}
    return {"name": "Profile" if len(walks) == 1 else "Profiles", "data": traces, "layout": layout(**axes)}


def _line(x: np.ndarray, y: np.ndarray, name: str, colour: str, dash: str = "solid") -> View:
    style = {"color": colour, "width": 2, "dash": dash}
    line: View = {"type": "scatter", "mode": "lines", "x": numbers(x), "y": numbers(y), "name": name, "line": style}
    return line | {"hovertemplate": f"{name} %{{y:.6g}}<extra></extra>"}


def _dots(x: np.ndarray, y: np.ndarray, name: str, colour: str) -> View:
    dots: View = {"type": "scatter", "mode": "markers", "x": numbers(x), "y": numbers(y), "showlegend": False}
    dots |= {"marker": {"color": colour, "size": 6}, "name": name}
    return dots | {"hovertemplate": f"{name}, a bead: %{{y:.6g}}<extra></extra>"}


def _levels(named: dict[str, float], over: list[float] | None = None) -> list[View]:
    found = []
    for name, value in named.items():
        ends = np.array(over or [0.0, 1.0])
        line = _line(ends, np.full(2, value), f"{text(name)} {value:.4g}", LIGHT.quiet)
        line["line"] = {"color": LIGHT.quiet, "width": 1.3, "dash": "dash" if name == "level" else "dot"}
        found.append(line)
    return found
