"""F over a simplex in plotly: each face as a surface over its triangle."""

from __future__ import annotations

import numpy as np

from thalweg.plot.interactive_frame import View, axis, carved, layout, numbers, text
from thalweg.plot.scale import Scale, scale_of, written
from thalweg.plot.simplexes import CORNERS, Face, faces
from thalweg.plot.style import LIGHT, SURFACE
from thalweg.records import SimplexSurface


def simplex_views(record: SimplexSurface) -> list[View]:
    """A view for each face; of a simplex of two points, the segment."""
    scale, found = scale_of(record.loss), faces(record)
    if not found:
        line: View = {"type": "scatter", "mode": "lines", "x": numbers(record.weights[:, 1])}
        line |= {"y": numbers(scale.shown(record.loss)), "line": {"color": LIGHT.lines[0], "width": 2.4}}
        title = axis(f"weight of {text(record.marks[1].name)}")
        around = layout(xaxis=title, yaxis=axis(f"loss ({scale.name})", scale), showlegend=False)
        return [{"name": "Segment", "data": [line], "layout": around}]
    return [_solid(record, face, scale, alone=len(found) == 1) for face in found]


def _solid(record: SimplexSurface, face: Face, scale: Scale, alone: bool) -> View:
    height = scale.shown(record.loss[face.rows])
    bent = np.log10(height) if scale.log else height
    kept = face.triangles[np.isfinite(height)[face.triangles].all(axis=1)]
    ticks = scale.ticks(7)
    ends = np.array([scale.low, scale.high, *ticks])
    low, high, *places = (np.log10(ends) if scale.log else ends).tolist()
    mesh: View = {"type": "mesh3d", "x": numbers(face.places[:, 0]), "y": numbers(face.places[:, 1])}
    mesh |= {"z": numbers(height), "i": kept[:, 0].tolist(), "j": kept[:, 1].tolist(), "k": kept[:, 2].tolist()}
    mesh |= {"intensity": numbers(bent), "colorscale": SURFACE.capitalize(), "cmin": low, "cmax": high}
    mesh["lighting"] = {"ambient": 0.72, "diffuse": 0.5, "specular": 0.06, "roughness": 0.8}
    title = {"text": f"loss, {scale.name}", "side": "right"}
    mesh["colorbar"] = {"title": title, "tickvals": places, "ticktext": written(ticks), "thickness": 13}
    weights = record.weights[face.rows][:, list(face.corners)]
    mesh["customdata"] = numbers(np.column_stack([record.loss[face.rows], weights]))
    said = "<br>".join(f"{text(record.marks[c].name)} %{{customdata[{i + 1}]:.3g}}" for i, c in enumerate(face.corners))
    mesh["hovertemplate"] = f"loss %{{customdata[0]:.6g}}<br>{said}<extra></extra>"
    losses = scale.shown(np.array([record.marks[c].loss for c in face.corners]))
    spots: View = {"type": "scatter3d", "mode": "markers+text", "x": numbers(CORNERS[:, 0])}
    spots |= {"y": numbers(CORNERS[:, 1]), "z": numbers(losses), "hoverinfo": "skip"}
    spots["text"] = [carved(record.marks[c].name) for c in face.corners]
    spots["textfont"] = {"color": LIGHT.ink}
    spots["marker"] = {"color": "white", "size": 4, "line": {"color": "black", "width": 1.5}}
    pane = {"backgroundcolor": LIGHT.paper, "color": LIGHT.ink, "showspikes": False}
    bare = {"title": {"text": ""}, "showticklabels": False, "gridcolor": LIGHT.faint}
    scene: View = {"xaxis": bare | pane, "yaxis": bare | pane, "zaxis": axis("loss", scale) | pane}
    scene |= {"aspectmode": "manual", "aspectratio": {"x": 1.15, "y": 1.0, "z": 0.8}, "bgcolor": LIGHT.paper}
    scene["camera"] = {"eye": {"x": 1.2, "y": -1.5, "z": 1.05}, "center": {"x": 0, "y": 0, "z": -0.14}}
    around = layout(scene=scene, showlegend=False, margin={"l": 0, "r": 0, "t": 0, "b": 0})
    name = "3-D" if alone else text(", ".join(record.marks[c].name for c in face.corners), 44)
    return {"name": name, "data": [mesh, spots], "layout": around}
