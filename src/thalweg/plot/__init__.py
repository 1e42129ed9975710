"""Figures from records. Nothing that draws is loaded before a figure is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.plot.style import DARK as DARK
from thalweg.plot.style import LIGHT as LIGHT
from thalweg.plot.style import THEMES as THEMES
from thalweg.plot.style import Theme as Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from thalweg.records import Record


def draw(record: Record, theme: Theme = LIGHT) -> Figure:
    """The matplotlib figure of a record; see :func:`thalweg.plot.static.draw`."""
    from thalweg.plot import static

    return static.draw(record, theme)


def save(record: Record, path: str | Path, theme: Theme = LIGHT) -> None:
    """Write the figure of a record as .png, .pdf or .svg; see :func:`thalweg.plot.static.save`."""
    from thalweg.plot import static

    static.save(record, path, theme)


def figure(record: Record, view: str | None = None, theme: Theme = LIGHT) -> dict[str, Any]:
    """``{"data", "layout"}`` for plotly, as JSON values; see :func:`thalweg.plot.interactive.figure`."""
    from thalweg.plot import interactive

    return interactive.figure(record, view, theme)
