"""One palette and two themes for every figure: colour-blind safe, the same in print and on the page."""

from __future__ import annotations

from dataclasses import dataclass

LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe & Ito 2008, ordered for contrast on white and on dark grey."""

SURFACE = "viridis"
"""Perceptually uniform and monotone in lightness, so it survives grey-scale print."""

NONFINITE = "#B0B0B0"
"""Cells whose value is NaN or infinite."""


@dataclass(frozen=True)
class Theme:
    """Colours of a figure's paper, ink, grid and the path drawn on a surface."""

    name: str
    paper: str
    ink: str
    faint: str
    path: str


LIGHT = Theme("light", "#ffffff", "#1d2733", "#d9dee5", "#D55E00")
DARK = Theme("dark", "#14181f", "#e6e9ee", "#39424f", "#FF8A3D")
THEMES = {theme.name: theme for theme in (LIGHT, DARK)}
