"""Two records of one kind on paper: curves in one frame, surfaces beside each other."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.figure import Figure

from thalweg.plot.pairs import Panel
from thalweg.plot.scale import scale_of
from thalweg.plot.static_beside import beside
from thalweg.plot.static_frame import RC, plain, ruled, sheet, shortened
from thalweg.plot.style import Theme
from thalweg.records import Surface


def pair_picture(panels: Sequence[Panel], names: tuple[str, str], theme: Theme, dpi: int = 120) -> bytes:
    """A png of the panels below each other; the first record's curves in the first colour of the theme."""
    with mpl.rc_context(RC):
        return _png(_pair(panels, names, theme), theme, dpi)


def surfaces_picture(names: tuple[str, str], surfaces: tuple[Surface, Surface], theme: Theme, dpi: int = 120) -> bytes:
    """A png of both surfaces from above on one scale."""
    with mpl.rc_context(RC):
        return _png(beside(dict(zip(names, surfaces, strict=True)), theme), theme, dpi)


def _pair(panels: Sequence[Panel], names: tuple[str, str], theme: Theme) -> Figure:
    figure, stack = sheet(theme, (6.8, 3.3 * len(panels) + 0.4), rows=len(panels), shared=False)
    for axes, panel in zip(stack, panels, strict=True):
        scale = scale_of(panel.values) if panel.log else None
        for which, (name, curves) in enumerate(zip(names, (panel.first, panel.second), strict=True)):
            for curve in curves:
                y = curve.y if scale is None else scale.shown(curve.y)
                form = {"ls": "none", "marker": "oD"[which], "ms": 4} if curve.dots else {"ls": "-"}
                form |= {"ls": "--"} if curve.dash else {}
                label = shortened(f"{name}, {curve.name}" if curve.name else name, 44)
                axes.errorbar(curve.x, y, yerr=curve.error, color=theme.lines[which], lw=1.6, label=label, **form)
        if scale is not None and scale.log:
            axes.set_yscale("log")
            ruled(axes.yaxis, scale.ticks(7))
        axes.set_xlabel(shortened(panel.across, 62))
        axes.set_ylabel(plain(panel.up) if scale is None else f"{plain(panel.up)} ({scale.name})")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, fontsize=8, labelcolor=theme.ink)
    return figure


def _png(figure: Figure, theme: Theme, dpi: int) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        # a name in a script that the font lacks is drawn as boxes, which the reader sees
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(file, format="png", dpi=dpi, facecolor=theme.paper, metadata={"Software": None})
    return file.getvalue()
