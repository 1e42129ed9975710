"""Profiles, spectra and runs in plotly."""

from __future__ import annotations

import numpy as np

from thalweg.plot.bands import LEGEND, along, drawn, shown
from thalweg.plot.curves import MANY, chord_of, rise_of, run_labels, symlog_threshold
from thalweg.plot.footer import order_of
from thalweg.plot.interactive_bands import band, filled
from thalweg.plot.interactive_frame import View, axis, layout, numbers, text
from thalweg.plot.scale import scale_of
from thalweg.plot.style import LIGHT, line_colour
from thalweg.records import Profile, Run, Spectrum


def profile_views(record: Profile) -> list[View]:
    """Loss on the left axis, metrics on the right, test rows dashed, marks, and the rise above the straight line."""
    t, scale = record.data["coordinates"], scale_of(drawn(record))
    traces: list[View] = band(t, shown(record), scale, "loss", LIGHT.lines[0])
    if record.sampling is not None:
        low, high = (scale.shown(np.maximum(record.data[name], scale.low)) for name in ("lower", "upper"))
        traces.insert(0, filled(t, low, high, LIGHT.lines[0], 0.2))
    if record.tested:
        beside = record.median("test_loss")[None]  # a second band would only darken the first
        traces += band(t, beside, scale, "loss on test rows", LIGHT.lines[0], "dash")
    title = f"{text(along(record), 60)} ({LEGEND})" if record.repeats else text(along(record), 60)
    axes = {"xaxis": axis(title), "yaxis": axis(f"loss ({scale.name})", scale)}
    for i, name in enumerate(record.metrics):
        for held, dash in ((name, "solid"), (f"test_{name}", "dash")):
            if held in record.data:
                said = name if held == name else f"{name} on test rows"
                line = _line(t, record.median(held), text(said), line_colour(LIGHT, 1 + i), width=1.5, dash=dash)
                traces.append({**line, "yaxis": "y2"})
    if record.metrics:
        right = {"overlaying": "y", "side": "right", "showgrid": False, "zeroline": False, "tickmode": "auto"}
        axes["yaxis2"] = axis(text(", ".join(record.metrics), 60)) | right
    notes: list[View] = []
    rise = rise_of(record)
    if rise is not None:
        chord = _line(t, chord_of(record), "straight line between the ends", LIGHT.quiet, width=1.4, dash="dot")
        up = _line(np.array([rise.at] * 2), np.array([rise.foot, rise.top]), "rise", LIGHT.quiet, width=1.4)
        traces += [{**chord, "hoverinfo": "skip"}, {**up, "hoverinfo": "skip", "showlegend": False}]
        middle = rise.middle(scale.log)
        note: View = {"x": rise.at, "y": float(np.log10(middle)) if scale.log else middle, "showarrow": False}
        note |= {"text": f"rises {rise.height:.4g} above<br>the straight line", "xanchor": "left", "align": "left"}
        notes.append(note | {"xshift": 6, "bgcolor": LIGHT.paper, "font": {"color": LIGHT.ink, "size": 12}})
    if record.marks:
        spots: View = {"type": "scatter", "mode": "markers+text", "name": "points", "showlegend": False}
        spots |= {"x": [m.coordinates[0] for m in record.marks], "text": [text(m.name) for m in record.marks]}
        spots["y"] = numbers(scale.shown(np.array([m.loss for m in record.marks])))
        spots["textposition"] = [_side(m.coordinates[0], t) for m in record.marks]
        spots |= {"marker": {"color": LIGHT.lines[0], "size": 9}, "cliponaxis": False}
        traces.append({**spots, "hovertemplate": "%{text}: loss %{y:.6g}<extra></extra>"})
    around = layout(**axes, annotations=notes, margin={"l": 60, "r": 60, "t": 26, "b": 60})
    return [{"name": "Profile", "data": traces, "layout": around}]


def spectrum_views(record: Spectrum) -> list[View]:
    """Eigenvalues with their residuals; where the range is large, their sizes on a logarithmic axis as well."""
    values, residuals = record.eigenvalues, record.residuals
    rank = list(range(1, values.size + 1))
    signs = ["negative" if v < 0 else "positive" for v in values]
    bars: View = {"type": "bar", "x": rank, "y": numbers(values), "width": 0.4, "name": "eigenvalue"}
    bars["error_y"] = {"type": "data", "array": numbers(residuals), "visible": True, "color": LIGHT.ink}
    bars["marker"] = {"color": [LIGHT.lines[0] if v >= 0 else LIGHT.lines[1] for v in values]}
    bars |= {"customdata": numbers(residuals), "hovertemplate": "λ = %{y:.8g} ± %{customdata:.2g}<extra></extra>"}
    order = axis(text(order_of(record), 60)) | {"tickformat": "d", "showgrid": False}
    order |= {"dtick": 1} if values.size <= 30 else {}
    ruled = axis("eigenvalue") | {"zerolinecolor": LIGHT.ink}
    found = [{"name": "Eigenvalues", "data": [bars], "layout": layout(xaxis=order, yaxis=ruled, showlegend=False)}]
    if symlog_threshold(record) is None:
        return found
    sizes = np.abs(values)
    dots: list[View] = []
    for sign, colour, symbol in (("positive", LIGHT.lines[0], "circle"), ("negative", LIGHT.lines[1], "diamond")):
        at = [i for i, s in enumerate(signs) if s == sign]
        one: View = {"type": "scatter", "mode": "markers", "name": sign, "x": [rank[i] for i in at]}
        one |= {"y": numbers(sizes[at]), "customdata": numbers(np.stack([values[at], residuals[at]], axis=-1))}
        one["error_y"] = {"type": "data", "array": numbers(residuals[at]), "visible": True, "color": LIGHT.ink}
        one |= {"marker": {"color": colour, "size": 9, "symbol": symbol}}
        dots.append(one | {"hovertemplate": "λ = %{customdata[0]:.8g} ± %{customdata[1]:.2g}<extra></extra>"})
    ruled = axis("size of the eigenvalue (log scale)", scale_of(sizes[sizes > 0]))
    return [*found, {"name": "Sizes", "data": dots, "layout": layout(xaxis=order, yaxis=ruled)}]


def run_views(record: Run) -> list[View]:
    """Loss, gradient norm and each metric against steps, a line for each descent."""
    steps, labels, found = record.data["steps"], run_labels(record), []
    many = len(labels) > MANY
    for name, title in (("loss", "loss"), ("gradient_norm", "gradient norm"), *((m, m) for m in record.metrics)):
        values = record.data[name]
        scale = scale_of(values) if name not in record.metrics else None
        traces = []
        for b, label in enumerate(labels):
            shown = values[:, b] if scale is None else scale.shown(values[:, b])
            colour = LIGHT.lines[0] if many else line_colour(LIGHT, b)
            line = _line(steps, shown, text(label), colour, width=1 if many else 2)
            traces.append({**line, "opacity": 0.5} if many else line)
        label = text(title) if scale is None else f"{title} ({scale.name})"
        around = layout(xaxis=axis("steps"), yaxis=axis(label, scale), showlegend=not many)
        found.append({"name": text(title[0].upper() + title[1:]), "data": traces, "layout": around})
    return found


def _line(x: np.ndarray, y: np.ndarray, name: str, colour: str, width: float, dash: str = "solid") -> View:
    style = {"color": colour, "width": width, "dash": dash}
    said = f"{name} %{{y:.6g}}<extra></extra>"
    line: View = {"type": "scatter", "mode": "lines", "x": numbers(x), "y": numbers(y), "name": name, "line": style}
    return line | {"hovertemplate": said}


def _side(at: float, t: np.ndarray) -> str:
    """Below the point, and inwards near the ends."""
    share = (at - t[0]) / (t[-1] - t[0])
    return "bottom right" if share < 0.1 else "bottom left" if share > 0.9 else "bottom center"
