"""One palette and two themes for every figure: colour-blind safe, the same in print and on the page."""

from __future__ import annotations

from dataclasses import dataclass

LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe & Ito 2008, ordered for contrast on white."""

DARK_LINES = ("#56B4E9", "#E69F00", "#42D774", "#E79BC6", "#F0E442", "#FF8A3D")
"""The same palette ordered, and where needed lightened, for contrast on dark grey."""

SURFACE = "viridis"
"""Perceptually uniform and monotone in lightness, so it survives grey-scale print."""

NONFINITE = "#B0B0B0"
"""Cells whose value is NaN or infinite; matplotlib hatches them as well."""


@dataclass(frozen=True)
class Theme:
    """Colours of a figure and of the page around it.

    paper, wash: background, and a shade off it. ink, quiet: text, and text of less weight. faint: grid and rules.
    path: a trajectory drawn over a surface. lines: curves, in order. accent: links and what is selected.
    good, fair, plain: the guarantees from strong to weak.
    """

    name: str
    paper: str
    wash: str
    ink: str
    quiet: str
    faint: str
    path: str
    accent: str
    good: str
    fair: str
    plain: str
    lines: tuple[str, ...]

    @property
    def colours(self) -> tuple[str, ...]:
        """What differs between the themes, in one order: a page swaps one list for the other.

        No colour may stand twice in it, which is why ``path`` is a shade off the palette's vermilion.
        """
        return (self.paper, self.wash, self.ink, self.quiet, self.faint, self.path, *self.lines)


LIGHT = Theme(
    "light", paper="#ffffff", wash="#f5f7f9", ink="#1d2733", quiet="#566273", faint="#d9dee5", path="#D65F01",
    accent="#0067a3", good="#00694c", fair="#8a5a00", plain="#4b5563", lines=LINES,
)  # fmt: skip
DARK = Theme(
    "dark", paper="#14181f", wash="#1b212a", ink="#e6e9ee", quiet="#9aa5b4", faint="#39424f", path="#FF8B3E",
    accent="#56b4e9", good="#4fd0a5", fair="#f0b95a", plain="#b6bfcc", lines=DARK_LINES,
)  # fmt: skip
THEMES = {theme.name: theme for theme in (LIGHT, DARK)}


def line_colour(theme: Theme, i: int) -> str:
    """The colour of curve ``i``; the palette starts again after its last."""
    return theme.lines[i % len(theme.lines)]
