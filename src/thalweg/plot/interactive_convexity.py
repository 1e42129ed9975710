"""Curvature over a plane in plotly: a map for each quantity, with the values at every point."""

from __future__ import annotations

import numpy as np

from thalweg.plot.convexity import DIVERGING, Panel, panels
from thalweg.plot.footer import label_of
from thalweg.plot.interactive_frame import View, axis, layout, numbers, text
from thalweg.plot.interactive_trajectory import flat_paths
from thalweg.plot.scale import written
from thalweg.plot.style import SURFACE
from thalweg.records import Surface

_SHORT = ("Smallest eigenvalue", "Ratio", "Largest eigenvalue", "Gradient inside")


def convexity_views(record: Surface) -> list[View]:
    """Smallest eigenvalue, ratio, largest eigenvalue, and the gradient's share inside; none without curvature."""
    if record.convexity is None:
        return []
    return [_view(record, panel, name) for panel, name in zip(panels(record), _SHORT, strict=True)]


def _view(record: Surface, panel: Panel, name: str) -> View:
    x, y = record.axes
    if panel.scale is None:
        shown, ticks = panel.shade(panel.values), panel.ticks()
        low, high, places = -1.0, 1.0, panel.shade(np.array(ticks)).tolist()
        colours: str | list[list[object]] = [[i / (len(DIVERGING) - 1), c] for i, c in enumerate(DIVERGING)]
    else:
        log, ticks = panel.scale.log, panel.scale.ticks(6)
        bent = (lambda v: np.log10(v)) if log else (lambda v: v)
        shown = bent(panel.scale.shown(panel.values))
        low, high, *places = bent(np.array([panel.scale.low, panel.scale.high, *ticks])).tolist()
        colours = SURFACE.capitalize()
    trace: View = {"type": "heatmap", "x": numbers(x), "y": numbers(y), "z": numbers(shown.T), "colorscale": colours}
    trace |= {"zmin": low, "zmax": high, "hoverongaps": False, "customdata": numbers(_told(record))}
    trace |= {"hovertemplate": _hover(record)}
    title = {"text": f"{text(panel.name, 60)}, {text(panel.kind, 60)}", "side": "right"}
    trace["colorbar"] = {"title": title, "tickvals": places, "ticktext": written(ticks), "thickness": 13}
    trace["colorbar"] |= {"outlinewidth": 0}
    axes = {"xaxis": axis(text(label_of(record, 0), 60)), "yaxis": axis(text(label_of(record, 1), 60))}
    axes = {key: {**one, "showgrid": False, "zeroline": False} for key, one in axes.items()}
    return {"name": name, "data": [trace, *flat_paths(record)], "layout": layout(**axes, showlegend=False)}


def _told(record: Surface) -> np.ndarray:
    """[n1, n0, 6]: what is said of each point."""
    names = ("loss", "largest", "largest_residual", "smallest", "smallest_residual", "gradient_norm")
    return np.stack([record.data[name].T for name in names], axis=-1)


def _hover(record: Surface) -> str:
    first, second = (text(record.directions.labels[i]) for i in (0, 1))
    return (
        f"{first} %{{x:.4g}}<br>{second} %{{y:.4g}}<br>loss %{{customdata[0]:.6g}}<br>"
        "largest %{customdata[1]:.5g} ± %{customdata[2]:.1g}<br>smallest %{customdata[3]:.5g} ± %{customdata[4]:.1g}"
        "<br>gradient norm %{customdata[5]:.4g}<extra></extra>"
    )
