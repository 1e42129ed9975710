"""A surface in plotly: in three dimensions and from above, with the trajectory at its true losses."""

from __future__ import annotations

import numpy as np

from thalweg.plot.footer import label_of
from thalweg.plot.interactive_bands import distance_views
from thalweg.plot.interactive_convexity import convexity_views
from thalweg.plot.interactive_frame import View, axis, carved, layout, numbers, text
from thalweg.plot.interactive_trajectory import flat_paths, residual_views, solid_paths
from thalweg.plot.scale import Scale, scale_of, written
from thalweg.plot.style import LIGHT, SURFACE
from thalweg.records import Surface

_MARK = {"color": "white", "size": 9, "line": {"color": "black", "width": 1.5}}


def surface_views(record: Surface) -> list[View]:
    """The surface in 3-D and from above, coloured by one named scale; further views of what else is known there.

    Maps of curvature come first where there are any, as they are what was asked for.
    """
    scale = scale_of(record.loss, clip=True)
    further = [*residual_views(record), *distance_views(record)]
    return [*convexity_views(record), _solid(record, scale), flat_view(record, scale), *further]


def _solid(record: Surface, scale: Scale) -> View:
    x, y = record.axes
    # plotly's z[i][j] lies at (x[j], y[i]); our loss[i, j] lies at (first axis[i], second axis[j])
    z = scale.shown(record.loss).T
    trace: View = {
        "type": "surface",
        "x": numbers(x),
        "y": numbers(y),
        "z": numbers(z),
        "customdata": numbers(record.loss.T),
    }
    trace |= {"surfacecolor": numbers(_coloured(z, scale)), "hovertemplate": _hover(record), **_colours(scale, "c")}
    trace["lighting"] = {"ambient": 0.72, "diffuse": 0.5, "specular": 0.06, "roughness": 0.8}
    trace["contours"] = {name: _mesh(at) for name, at in (("x", x), ("y", y))}
    traces: list[View] = [trace]
    notes: list[View] = []
    named = len(record.tracks) > 1  # the legend names the runs, and names at their ends would cover them
    traces += solid_paths(record, scale)
    if record.marks:
        height = scale.shown(np.array([m.loss for m in record.marks]))
        traces.append({**_marks(record), "type": "scatter3d", "z": numbers(height), "marker": {**_MARK, "size": 4}})
        for mark, z_at in zip(record.marks, numbers(_coloured(height, scale)), strict=True):
            if z_at is not None and not named:
                at = {"x": mark.coordinates[0], "y": mark.coordinates[1], "z": z_at}
                notes.append({**_box(text(mark.name)), **at, "yshift": 16})
    pane = {"backgroundcolor": LIGHT.paper, "color": LIGHT.ink, "showspikes": False}
    axes = {
        "xaxis": axis(carved(record.directions.labels[0])),
        "yaxis": axis(carved(record.directions.labels[1])),
        "zaxis": axis("loss", scale),
    }
    scene: View = {name: one | pane for name, one in axes.items()}
    scene["annotations"] = notes
    scene["camera"] = {"eye": _eye(_coloured(z, scale)), "center": {"x": 0, "y": 0, "z": -0.14}}
    scene |= {"aspectmode": "manual", "aspectratio": {"x": 1.15, "y": 1.15, "z": 0.8}, "bgcolor": LIGHT.paper}
    around = layout(scene=scene, showlegend=named, margin={"l": 0, "r": 0, "t": 0, "b": 0})
    return {"name": "3-D", "data": traces, "layout": around}


def flat_view(record: Surface, scale: Scale) -> View:
    """The surface from above, on this scale."""
    x, y = record.axes
    colour = _coloured(scale.shown(record.loss).T, scale)
    trace: View = {"type": "contour", "x": numbers(x), "y": numbers(y), "z": numbers(colour)}
    trace |= {"customdata": numbers(record.loss.T), "hovertemplate": _hover(record), **_colours(scale, "z")}
    low, high = trace["zmin"], trace["zmax"]
    trace |= {"autocontour": False, "contours": {"start": low, "end": high, "size": (high - low) / 17}}
    trace |= {"line": {"width": 0.5, "color": "rgba(255,255,255,.6)"}, "connectgaps": False}
    traces = [trace]
    traces += flat_paths(record)
    if record.marks:
        traces.append({**_marks(record), "type": "scatter", "marker": _MARK})
    named = len(record.tracks) > 1
    notes = [] if named else [_note(text(m.name), m.coordinates, x, y) for m in record.marks]
    axes = {"xaxis": axis(text(label_of(record, 0), 60)), "yaxis": axis(text(label_of(record, 1), 60))}
    axes = {name: {**one, "showgrid": False, "zeroline": False} for name, one in axes.items()}
    return {"name": "From above", "data": traces, "layout": layout(**axes, showlegend=named, annotations=notes)}


def _coloured(values: np.ndarray, scale: Scale) -> np.ndarray:
    return np.log10(values) if scale.log else values


def _colours(scale: Scale, letter: str) -> View:
    """Colour range and bar; under a logarithmic scale the ticks still say losses."""
    ticks = scale.ticks(7)
    low, high, *places = _coloured(np.array([scale.low, scale.high, *ticks]), scale).tolist()
    title = {"text": f"loss, {scale.name}", "side": "right"}
    bar = {"title": title, "tickvals": places, "ticktext": written(ticks), "thickness": 13, "outlinewidth": 0}
    return {"colorscale": SURFACE.capitalize(), f"{letter}min": low, f"{letter}max": high, "colorbar": bar}


def _mesh(at: np.ndarray) -> View:
    """Faint lines on the surface along one axis, at about ten of the evaluated coefficients."""
    start, end = float(at[0]), float(at[-1])
    step = (end - start) / (at.size - 1) * max(1, round((at.size - 1) / 12))
    return {"show": True, "start": start, "end": end, "size": step, "color": "rgba(255,255,255,.28)", "width": 1}


def _eye(z: np.ndarray) -> View:
    """From beyond the lowest quarter of the surface, so that nothing high stands in front of what is low."""
    quarters = {}
    for across, columns in ((-1, slice(None, z.shape[1] // 2)), (1, slice(z.shape[1] // 2, None))):
        for up, rows in ((-1, slice(None, z.shape[0] // 2)), (1, slice(z.shape[0] // 2, None))):
            part = z[rows, columns]
            quarters[across, up] = part[np.isfinite(part)].mean() if np.isfinite(part).any() else np.inf
    across, up = min(quarters, key=lambda corner: quarters[corner])
    return {"x": 1.25 * across, "y": 1.4 * up, "z": 1.05}


def _hover(record: Surface) -> str:
    first, second = (text(record.directions.labels[i]) for i in (0, 1))
    return f"{first} %{{x:.4g}}<br>{second} %{{y:.4g}}<br>loss %{{customdata:.6g}}<extra></extra>"


def _marks(record: Surface) -> View:
    at = np.array([m.coordinates for m in record.marks])
    spots: View = {"x": numbers(at[:, 0]), "y": numbers(at[:, 1]), "text": [text(m.name) for m in record.marks]}
    spots |= {"customdata": numbers(np.array([m.loss for m in record.marks])), "name": "points"}
    said = "%{text}: loss %{customdata:.6g}<extra></extra>"
    return spots | {"mode": "markers", "hovertemplate": said, "showlegend": False}


def _box(name: str) -> View:
    """A mark's name on a dark ground, which can be read over every colour of the surface."""
    box: View = {"text": name, "showarrow": False, "borderpad": 3, "bgcolor": "rgba(29,39,51,.82)"}
    return box | {"font": {"color": "white", "size": 12}}


def _note(name: str, at: tuple[float, ...], x: np.ndarray, y: np.ndarray) -> View:
    """A mark's name, written towards the middle so that the frame never cuts it."""
    left, low = at[0] > (x[0] + x[-1]) / 2, at[1] > (y[0] + y[-1]) / 2
    note: View = _box(name) | {"x": at[0], "y": at[1]}
    note |= {"xanchor": "right" if left else "left", "xshift": -8 if left else 8}
    return note | {"yanchor": "top" if low else "bottom", "yshift": -8 if low else 8}
