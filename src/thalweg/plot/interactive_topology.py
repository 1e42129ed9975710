"""Basins in plotly: the map or the curve, the barcode, and the merge tree."""

from __future__ import annotations

import numpy as np

from thalweg.plot.basins import Branch, branches, cut, left_out, on_map, outline
from thalweg.plot.interactive_frame import View, axis, layout, numbers, text
from thalweg.plot.scale import Scale, scale_of, written
from thalweg.plot.style import LIGHT, SURFACE, line_colour
from thalweg.records import Topology

_WHITE, _INK = "rgba(255,255,255,.92)", "rgb(29,39,51)"  # over viridis, so the same in both themes


def topology_views(record: Topology) -> list[View]:
    """Where the basins lie, how long each lives, and into which it falls."""
    scale, shown = scale_of(record.data["values"]), branches(record)
    line = record.data["values"].ndim == 1
    place = _curve(record, shown, scale) if line else _map(record, shown, scale)
    return [place, _barcode(record, shown, scale), _tree(record, shown, scale)]


def _map(record: Topology, shown: list[Branch], scale: Scale) -> View:
    x, y, index, label = cut(record)
    values = record.data["values"][index]
    with np.errstate(invalid="ignore"):
        z = np.log10(scale.shown(values)) if scale.log else scale.shown(values)
    low, high, *ticks = (np.log10(v) if scale.log else v for v in (scale.low, scale.high, *scale.ticks(7)))
    field = text(record.field)
    trace: View = {"type": "contour", "x": numbers(x), "y": numbers(y), "z": numbers(z.T), "connectgaps": False}
    trace["customdata"] = numbers(np.stack([values.T, record.territories[index].T + 1], axis=-1))
    trace["hovertemplate"] = f"{field} %{{customdata[0]:.6g}}<br>basin %{{customdata[1]}}<extra></extra>"
    trace |= {"colorscale": SURFACE.capitalize(), "zmin": low, "zmax": high, "autocontour": False}
    trace["contours"] = {"start": low, "end": high, "size": (high - low) / 17}
    trace["line"] = {"width": 0.5, "color": "rgba(255,255,255,.6)"}
    title = {"text": f"{field}, {scale.name}", "side": "right"}
    trace["colorbar"] = {"title": title, "tickvals": ticks, "ticktext": written(scale.ticks(7)), "thickness": 13}
    trace["colorbar"]["outlinewidth"] = 0
    traces = [trace]
    for branch in shown:
        if branch.survives and not branch.lives:
            ends = outline(record.region(branch.basin)[index], x, y)
            gaps = np.concatenate([ends, np.full((len(ends), 1, 2), np.nan)], axis=1).reshape(-1, 2)
            edge: View = {"type": "scatter", "mode": "lines", "x": numbers(gaps[:, 0]), "y": numbers(gaps[:, 1])}
            edge |= {"hoverinfo": "skip", "name": f"basin {branch.basin + 1}"}
            for colour, width in ((_WHITE, 4.5), (line_colour(LIGHT, branch.basin), 2.5)):
                traces.append({**edge, "line": {"color": colour, "width": width}})
    for i, j, level, path in record.joined:
        said = f"{text(record.marks[i])} and {text(record.marks[j])} hold together from {level:.6g} on"
        way: View = {"type": "scatter", "mode": "lines", "x": numbers(path[:, 0]), "y": numbers(path[:, 1])}
        traces.append({**way, "hoverinfo": "skip", "line": {"color": _WHITE, "width": 5}})
        way |= {"hovertemplate": f"{said}<extra></extra>", "name": "lowest path"}
        traces.append({**way, "line": {"color": _INK, "width": 2, "dash": "dash"}})
    there = [branch for branch in shown if on_map(record, record.data["minima"][branch.basin])]
    places = np.array([record.data["places"][branch.basin][:2] for branch in there]).reshape(-1, 2)
    traces += [_minima(there, places), *_marks(record)]
    axes = {}
    for i, key in enumerate(("xaxis", "yaxis")):
        name = record.axes[i] if i < len(record.axes) else f"direction {i + 1}"
        axes[key] = axis(text(name, 60)) | {"showgrid": False, "zeroline": False}
    above = [_above(text(label))] if label else []
    return {"name": "Basins", "data": traces, "layout": layout(**axes, showlegend=False, annotations=above)}


def _minima(shown: list[Branch], at: np.ndarray) -> View:
    """The minima at places [k, 2] of the picture, with their numbers."""
    spots: View = {"type": "scatter", "mode": "markers+text", "name": "minima", "cliponaxis": False}
    spots |= {"x": numbers(at[:, 0]), "y": numbers(at[:, 1]), "textposition": "middle center"}
    spots["text"] = [str(b.basin + 1) if b.survives else "" for b in shown]
    spots["textfont"] = {"color": "white", "size": 10}
    colours = [line_colour(LIGHT, b.basin) if b.survives else "#8a8a8a" for b in shown]
    spots["marker"] = {"size": [17 if b.survives else 9 for b in shown], "line": {"color": "white", "width": 1.5}}
    spots["marker"]["color"] = colours
    spots["customdata"] = [_said(b) for b in shown]
    return spots | {"hovertemplate": "%{customdata}<extra></extra>"}


def _marks(record: Topology) -> list[View]:
    held = [(n, c) for n, c in zip(record.marks, record.data.get("mark_cells", ()), strict=True) if on_map(record, c)]
    if not held:
        return []
    at = np.array([record.data["coordinates"][tuple(cell)][:2] for _, cell in held])
    spots: View = {"type": "scatter", "mode": "markers+text", "name": "points", "text": [text(n) for n, _ in held]}
    spots |= {"x": numbers(at[:, 0]), "y": numbers(at[:, 1]), "textposition": "top center"}
    spots["textfont"] = {"color": "white", "size": 12, "shadow": "1px 1px 2px #000, -1px -1px 2px #000"}
    spots["marker"] = {"symbol": "square", "size": 8, "color": "white", "line": {"color": "black", "width": 1.5}}
    return [spots | {"hovertemplate": "%{text}<extra></extra>"}]


def _curve(record: Topology, shown: list[Branch], scale: Scale) -> View:
    t, values = record.data["coordinates"][:, 0], scale.shown(record.data["values"])
    traces: list[View] = []
    for branch in shown:
        if branch.survives and not branch.lives:
            inside = record.region(branch.basin)
            colour, death = line_colour(LIGHT, branch.basin), np.full(int(inside.sum()), branch.ends(scale)[1])
            lid: View = {"type": "scatter", "mode": "lines", "x": numbers(t[inside]), "y": numbers(death)}
            lid |= {"line": {"color": colour, "width": 1.5, "dash": "dot"}, "hoverinfo": "skip"}
            lid["name"] = f"basin {branch.basin + 1}"
            traces += [lid, {**lid, "y": numbers(values[inside]), "line": {"color": colour, "width": 6}}]
    curve: View = {"type": "scatter", "mode": "lines", "x": numbers(t), "y": numbers(values)}
    curve["name"] = text(record.field)
    curve |= {"line": {"color": LIGHT.ink, "width": 2}, "hovertemplate": "%{y:.6g} at %{x:.4g}<extra></extra>"}
    traces.append(curve)
    for i, j, level, _ in record.joined:
        said = f"{text(record.marks[i])} and {text(record.marks[j])} hold together from {level:.6g} on"
        line: View = {"type": "scatter", "mode": "lines", "x": numbers(t[[0, -1]]), "y": numbers(np.array([level] * 2))}
        line |= {
            "line": {"color": LIGHT.quiet, "width": 1.2, "dash": "dash"},
            "hovertemplate": f"{said}<extra></extra>",
        }
        traces.append(line | {"name": "level"})
    at = [(record.data["places"][branch.basin][0], branch.ends(scale)[0]) for branch in shown]
    spots = _minima(shown, np.array(at).reshape(-1, 2))
    axes = {"xaxis": axis(text(record.axes[0] if record.axes else "t", 60))}
    axes["yaxis"] = axis(f"{text(record.field)} ({scale.name})", scale)
    return {"name": "Basins", "data": [*traces, spots], "layout": layout(**axes, showlegend=False)}


def _barcode(record: Topology, shown: list[Branch], scale: Scale) -> View:
    traces: list[View] = []
    for row, branch in enumerate(shown):
        born, died = branch.ends(scale)
        bar: View = {"type": "scatter", "mode": "lines+markers", "x": numbers(np.array([born, died])), "y": [row, row]}
        colour = line_colour(LIGHT, branch.basin) if branch.survives else LIGHT.quiet
        bar |= {"line": {"color": colour, "width": 9}, "name": f"basin {branch.basin + 1}"}
        bar["marker"] = {"color": colour, "size": [9, 16 if branch.lives else 0]}
        bar["marker"]["symbol"] = ["line-ns", "triangle-right"]
        said = _said(branch)
        traces.append(bar | {"customdata": [said, said], "hovertemplate": "%{customdata}<extra></extra>"})
    rows = axis("basin") | {"tickvals": list(range(len(shown))), "ticktext": [str(b.basin + 1) for b in shown]}
    rows |= {"range": [max(len(shown), 3) - 0.4, -0.6], "showgrid": False, "zeroline": False}
    levels = axis(f"{text(record.field)}, from birth to end ({scale.name})", scale)
    beside = [part for part in (_greys(shown), left_out(record, shown)) if part]
    notes = [_above("; ".join(beside))] if beside else []
    around = layout(xaxis=levels, yaxis=rows, showlegend=False, annotations=notes)
    return {"name": "Barcode", "data": traces, "layout": around}


def _tree(record: Topology, shown: list[Branch], scale: Scale) -> View:
    at, traces = {branch.basin: branch.x for branch in shown}, list[View]()
    for branch in shown:
        born, died = branch.ends(scale)
        ends = [(branch.x, born), (branch.x, died)]
        if branch.parent is not None:
            ends.append((at[branch.parent], died))
        xy = np.array(ends)
        colour = line_colour(LIGHT, branch.basin) if branch.survives else LIGHT.quiet
        line: View = {"type": "scatter", "mode": "lines+markers+text", "x": numbers(xy[:, 0]), "y": numbers(xy[:, 1])}
        line |= {"line": {"color": colour, "width": 3}, "name": f"basin {branch.basin + 1}", "cliponaxis": False}
        line["marker"] = {"color": colour, "size": [9] + [0] * (len(ends) - 1)}
        line |= {"text": [str(branch.basin + 1)] + [""] * (len(ends) - 1), "textposition": "bottom center"}
        line["textfont"] = {"color": LIGHT.ink, "size": 11}
        said = _said(branch)
        traces.append(line | {"customdata": [said] * len(ends), "hovertemplate": "%{customdata}<extra></extra>"})
    levels = axis(f"{text(record.field)} ({scale.name})", scale)
    hidden = axis("where basins join as the level rises") | {"showticklabels": False, "showgrid": False}
    around = layout(xaxis=hidden | {"zeroline": False}, yaxis=levels, showlegend=False)
    return {"name": "Merge tree", "data": traces, "layout": around}


def _said(branch: Branch) -> str:
    end = "never ends" if branch.lives else f"ends at {branch.death:.6g}, rises {branch.death - branch.birth:.4g}"
    sure = "more than the error" if branch.survives else "not above the error"
    return f"basin {branch.basin + 1}: born at {branch.birth:.6g}, {end}<br>{branch.area:,} cells; {sure}"


def _greys(shown: list[Branch]) -> str:
    return "" if all(branch.survives for branch in shown) else "grey: not above the error"


def _above(said: str) -> View:
    """A line of text above the frame."""
    note: View = {"text": said, "xref": "paper", "yref": "paper", "x": 0, "y": 1.01, "showarrow": False}
    return note | {"xanchor": "left", "yanchor": "bottom", "font": {"color": LIGHT.quiet, "size": 12}}
