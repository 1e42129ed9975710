"""What every plotly figure shares: layout, axes, names that stay text, and the change of theme."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np

from thalweg.plot.scale import Scale, decades, written
from thalweg.plot.style import LIGHT, Theme

View = dict[str, Any]
"""``{"name", "data", "layout"}``: one way of looking at a record."""

FONT = "ui-sans-serif, system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"


def text(name: str, width: int = 40) -> str:
    """A name as plotly shows it: as text, never as markup, link or template, and never longer than ``width``."""
    return escape(_short(name, width), quote=False)


def carved(name: str) -> str:
    """A name for an axis in space, where plotly draws letters as shapes: it knows tags there, but no entities."""
    return _short(name, 40).replace("<", "‹").replace(">", "›")


def _short(name: str, width: int) -> str:
    short = name if len(name) <= width else f"{name[: width // 2 - 1]}…{name[-(width // 2 - 1) :]}"
    return "".join(c if c.isprintable() else "�" for c in short).replace("%{", "% {")


def numbers(array: np.ndarray) -> list[Any]:
    """Nested lists with eight significant digits; what is not finite becomes null, a gap in the figure."""
    if array.ndim > 1:
        return [numbers(row) for row in array]
    return [float(f"{v:.8g}") if np.isfinite(v) else None for v in array.tolist()]


def axis(title: str, scale: Scale | None = None) -> View:
    """A titled axis; on a logarithmic one losses are written out at round numbers, also after zooming."""
    found: View = {"title": {"text": title}, "gridcolor": LIGHT.faint, "zerolinecolor": LIGHT.faint}
    found["linecolor"] = LIGHT.faint
    if scale is None or not scale.log:
        return found
    span = np.log10(scale.high / scale.low)
    steps = (1, 2, 5) if span < 2.5 else (1, 3) if span < 4 else (1,)
    ticks = decades(scale.low / 100, scale.high * 100, steps)
    return found | {"type": "log", "tickvals": ticks, "ticktext": written(ticks)}


def layout(**given: Any) -> View:
    """The layout around a figure: theme, font, margins, and interaction kept through a change of theme."""
    found: View = {"paper_bgcolor": LIGHT.paper, "plot_bgcolor": LIGHT.paper, "uirevision": "kept"}
    found |= {"hovermode": "closest", "font": {"color": LIGHT.ink, "family": FONT, "size": 13}}
    found |= {"margin": {"l": 60, "r": 26, "t": 26, "b": 60}, "legend": {"orientation": "h", "x": 0}}
    found["hoverlabel"] = {"bgcolor": LIGHT.wash, "bordercolor": LIGHT.faint, "font": {"color": LIGHT.ink}}
    found["modebar"] = {"bgcolor": "rgba(0,0,0,0)", "color": LIGHT.quiet, "activecolor": LIGHT.ink}
    found["legend"] |= {"y": 1.02, "yanchor": "bottom"}  # above the curves, however many lines it takes
    upright = {name: one | {"automargin": True} for name, one in given.items() if name.startswith("yaxis")}
    return found | given | upright  # long names of rows and long numbers take the room that they need


def recoloured(value: Any, theme: Theme, key: str = "") -> Any:
    """A figure of the light theme in another: every colour of the one list becomes its fellow in the other."""
    if isinstance(value, dict):
        return {k: recoloured(v, theme, k) for k, v in value.items()}
    if isinstance(value, list):
        return [recoloured(v, theme, key) for v in value]
    if isinstance(value, str) and key.endswith("color"):
        return dict(zip(LIGHT.colours, theme.colours, strict=True)).get(value, value)
    return value
