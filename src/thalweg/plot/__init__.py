"""Figures from records. Nothing that draws is loaded before a figure is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.plot.style import DARK as DARK
from thalweg.plot.style import LIGHT as LIGHT
from thalweg.plot.style import THEMES as THEMES
from thalweg.plot.style import Theme as Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from thalweg.records import Record, Surface


def draw(
    record: Record | Mapping[str, Surface], theme: Theme = LIGHT, view: str | Sequence[str] | None = None
) -> Figure:
    """The matplotlib figure of a record, or of surfaces by name; see :func:`thalweg.plot.static.draw`."""
    from thalweg.plot import static

    return static.draw(record, theme, view)


def save(
    record: Record | Mapping[str, Surface],
    path: str | Path,
    theme: Theme = LIGHT,
    *,
    view: str | Sequence[str] | None = None,
) -> None:
    """Write the figure of a record, or of surfaces by name beside each other, as .png, .pdf or .svg.

    ``view="relief"`` draws surfaces in three dimensions; see :func:`thalweg.plot.static.save`.
    """
    from thalweg.plot import static

    static.save(record, path, theme, view=view)


def figure(record: Record, view: str | None = None, theme: Theme = LIGHT) -> dict[str, Any]:
    """``{"data", "layout"}`` for plotly, as JSON values; see :func:`thalweg.plot.interactive.figure`."""
    from thalweg.plot import interactive

    return interactive.figure(record, view, theme)
