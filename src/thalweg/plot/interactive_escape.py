"""A race in plotly: survival against steps and against work, the table, and the exponents."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.plot.escape import HEAD, NAMES, cells, curves, ordered, places, powered, titles
from thalweg.plot.interactive_frame import View, axis, layout, numbers, text
from thalweg.plot.style import LIGHT, line_colour
from thalweg.records.escapes import Race


def race_views(record: Race) -> list[View]:
    """For each landscape drawn: survival by steps and by gradients, and its table; then the exponents."""
    found = []
    many = len(list(places(record))) > 1
    for place in places(record):
        after = f", {text(_short(titles(record)[place]), 30)}" if many else ""
        found.append(_survival(record, place, "steps", f"Steps{after}"))
        found.append(_survival(record, place, "gradients", f"Gradients{after}"))
        found.append(_table(record, place, f"Table{after}"))
    return found + ([_exponents(record)] if powered(record) else [])


def _short(name: str) -> str:
    """The parameters alone: the subject is the same."""
    _, opens, inside = name.partition("(")
    return inside.rstrip(")") if opens else name


def _survival(record: Race, place: int, what: str, name: str) -> View:
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": numbers(curve.x),
            "y": numbers(curve.share),
            "name": text(curve.label),
            "line": {"color": line_colour(LIGHT, curve.colour), "dash": NAMES[curve.dash], "width": 2},
            "hovertemplate": f"{text(curve.rule)}<br>%{{x:,.0f}} {what}<br>%{{y:.0%}} above the level<extra></extra>",
        }
        for curve in curves(record, place, what)
    ]
    across = axis(what) | {"type": "log"}
    up = axis("starts still above the level") | {"range": [-0.03, 1.03], "tickformat": ".0%"}
    legend = {"orientation": "v", "x": 1.01, "y": 1, "yanchor": "top", "font": {"size": 11}}
    return {"name": name, "data": data, "layout": layout(xaxis=across, yaxis=up, legend=legend)}


def _table(record: Race, place: int, name: str) -> View:
    columns = list(zip(*(cells(row) for row in ordered(record, place)), strict=True))
    side = ["left", *("right" for _ in HEAD[1:])]
    style: dict[str, Any] = {"line": {"color": LIGHT.faint}, "font": {"color": LIGHT.ink, "size": 12}, "align": side}
    trace = {
        "type": "table",
        "columnwidth": [2, 1, 1.7, 1, 1, 1, 1.2, 1, 0.7],
        "header": {"values": [text(h) for h in HEAD], "fill": {"color": LIGHT.wash}, **style},
        "cells": {
            "values": [[text(c) for c in column] for column in columns],
            "fill": {"color": LIGHT.paper},
            "height": 22,
            **style,
        },
    }
    return {"name": name, "data": [trace], "layout": layout()}


def _exponents(record: Race) -> View:
    data = []
    for i, over in enumerate(dict.fromkeys(e.over for e in record.exponents)):
        found = [e for e in record.exponents if e.over == over and e.value is not None]
        at, low, high = (np.array([getattr(e, f) for e in found], dtype=float) for f in ("value", "low", "high"))
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": f"power of {text(over)}",
                "x": numbers(at),
                "y": [text(e.what) for e in found],
                "marker": {"color": line_colour(LIGHT, i), "size": 8},
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": numbers(np.maximum(high - at, 0)),
                    "arrayminus": numbers(np.maximum(at - low, 0)),
                    "color": line_colour(LIGHT, i),
                },
            }
        )
    up = axis("") | {"autorange": "reversed", "automargin": True}
    return {"name": "Exponents", "data": data, "layout": layout(xaxis=axis("power in the median steps"), yaxis=up)}
