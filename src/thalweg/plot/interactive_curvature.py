"""Critical points in plotly: index against loss, and how many there are of each index."""

from __future__ import annotations

import numpy as np

from thalweg.plot.interactive_frame import View, axis, layout, numbers, text
from thalweg.plot.style import LIGHT, line_colour
from thalweg.records import Census, Count


def census_views(record: Census) -> list[View]:
    """Index over the number of directions against loss: hollow where not critical, theory dashed, brackets as bars."""
    low, high = record.data["index_low"] / record.size, record.data["index_high"] / record.size
    critical, found = record.data["critical"], []
    for which, name, symbol in (
        (critical, "critical", "circle"),
        (~critical, "not critical: no evidence", "circle-open"),
    ):
        if not which.any():
            continue
        dots: View = {"type": "scatter", "mode": "markers", "name": name}
        dots |= {"x": numbers(record.data["loss"][which]), "y": numbers(low[which])}
        dots["error_y"] = {"type": "data", "symmetric": False, "array": numbers((high - low)[which])}
        dots["error_y"] |= {"arrayminus": numbers(np.zeros(int(which.sum()))), "color": LIGHT.faint}
        dots["customdata"] = numbers(record.data["gradient_norm"][which])
        dots["marker"] = {"color": LIGHT.lines[0], "size": 9, "symbol": symbol}
        dots["hovertemplate"] = "loss %{x:.6g}, index share %{y:.4g}, gradient norm %{customdata:.3g}<extra></extra>"
        found.append(dots)
    for i, name in enumerate(record.curves):
        line: View = {"type": "scatter", "mode": "lines", "name": text(f"α(ε), {name}")}
        line |= {"x": numbers(record.data[f"{name}.loss"]), "y": numbers(record.data[f"{name}.share"])}
        found.append(line | {"line": {"color": line_colour(LIGHT, 1 + i), "dash": "dash"}})
    axes = {"xaxis": axis("loss"), "yaxis": axis(f"index / {record.size:,}") | {"rangemode": "tozero"}}
    return [{"name": "Index against loss", "data": found, "layout": layout(**axes)}]


def count_views(record: Count) -> list[View]:
    """Different critical points by index, and how many are known to exist."""
    index = list(range(record.data["count"].size))
    bars: View = {"type": "bar", "name": "found", "x": index, "y": numbers(record.data["count"])}
    bars |= {"marker": {"color": LIGHT.lines[0]}, "hovertemplate": "%{y} of index %{x}<extra></extra>"}
    found = [bars]
    if "known" in record.data:
        known: View = {"type": "scatter", "mode": "markers", "name": "known to exist", "x": index}
        known["marker"] = {"color": LIGHT.lines[1], "size": 12, "symbol": "line-ew", "line": {"width": 3}}
        known["marker"]["line"]["color"] = LIGHT.lines[1]
        found.append(known | {"y": numbers(record.data["known"])})
    axes = {"xaxis": axis(f"index, of {record.size:,} directions"), "yaxis": axis("different critical points")}
    return [{"name": "Count", "data": found, "layout": layout(**axes)}]
