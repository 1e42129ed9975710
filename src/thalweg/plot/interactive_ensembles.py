"""Ensembles and searches along paths in plotly."""

from __future__ import annotations

import numpy as np

from thalweg.plot.ensembles import curves_of
from thalweg.plot.interactive_frame import View, axis, layout, numbers, text
from thalweg.plot.style import LIGHT, line_colour
from thalweg.records import Ensembles, PathSearch


def ensembles_views(record: Ensembles) -> list[View]:
    """Error against training runs, averaged and of one network alone."""
    traces: list[View] = []
    for i, curve in enumerate(curves_of(record)):
        colour = line_colour(LIGHT, i)
        line = _line(curve.runs, curve.error, f"{text(curve.name)}, {curve.members} networks", colour)
        line |= {"mode": "lines+markers", "error_y": {"type": "data", "array": numbers(curve.noise), "color": colour}}
        traces += [line, _line(curve.runs, curve.alone, f"one {text(curve.name)} alone", colour, "dot")]
    axes = {"xaxis": axis("training runs"), "yaxis": axis(f"error on {text(record.evaluated_on)} rows")}
    return [{"name": "Ensembles", "data": traces, "layout": layout(**axes)}]


def path_search_views(record: PathSearch) -> list[View]:
    """The value along the path on both sets of held-out rows."""
    sides = (("choosing", record.chosen_on), ("judging", record.judged_on))
    traces = [
        _line(record.data["t"], record.data[name], f"{rows:,} rows {name}", line_colour(LIGHT, i))
        for i, (name, rows) in enumerate(sides)
    ]
    at = [record.data[name][record.best] for name, _ in sides]
    dots: View = {"type": "scatter", "mode": "markers", "x": numbers(np.full(2, record.t)), "y": numbers(np.array(at))}
    traces.append(dots | {"name": "chosen", "marker": {"color": LIGHT.ink, "size": 9}})
    axes = {"xaxis": axis("t along the path"), "yaxis": axis(f"{text(record.by)} on held-out rows")}
    return [{"name": "Held-out rows", "data": traces, "layout": layout(**axes)}]


def _line(x: np.ndarray, y: np.ndarray, name: str, colour: str, dash: str = "solid") -> View:
    line: View = {"type": "scatter", "mode": "lines", "x": numbers(x), "y": numbers(y), "name": name}
    return line | {"line": {"color": colour, "width": 2, "dash": dash}}
