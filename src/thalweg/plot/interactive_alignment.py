"""An alignment in plotly: one view for the loss and one for each metric."""

from __future__ import annotations

import numpy as np

from thalweg.plot.alignment import curves
from thalweg.plot.interactive_frame import View, axis, layout, numbers, text
from thalweg.plot.scale import scale_of
from thalweg.plot.style import LIGHT
from thalweg.records import Alignment


def alignment_views(record: Alignment) -> list[View]:
    """The loss, then every metric, on the segment before and after."""
    return [_view(record, name) for name in ("loss", *record.metrics)]


def _view(record: Alignment, name: str) -> View:
    found = curves(record, name)
    scale = scale_of(np.concatenate([curve.values for curve in found])) if name == "loss" else None
    traces: list[View] = []
    for curve in found:
        line = {"color": LIGHT.lines[0 if curve.after else 1], "width": 2, "dash": "dot" if curve.test else "solid"}
        trace: View = {"type": "scatter", "mode": "lines", "name": curve.label, "line": line}
        trace |= {"x": numbers(record.data["t"]), "y": numbers(curve.values)}
        traces.append(trace | {"hovertemplate": f"{curve.label}: %{{y:.6g}} at %{{x:.3g}}<extra></extra>"})
    first, second = (*record.provenance.points, "a", "b")[:2]
    axes = {
        "xaxis": axis(f"share of the way from {text(first, 24)} to {text(second, 24)}"),
        "yaxis": axis(text(name) if scale is None else f"loss ({scale.name})", scale),
    }
    return {"name": "Loss" if name == "loss" else name.capitalize(), "data": traces, "layout": layout(**axes)}
