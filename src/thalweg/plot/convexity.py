"""What both kinds of figure need to know about curvature over a plane: its panels, and a scale around zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.plot.scale import Scale, scale_of
from thalweg.records import Surface
from thalweg.records.convexity import ratio, settled

DIVERGING = ("#67001f", "#b2182b", "#f4a582", "#f7f7f7", "#92c5de", "#2166ac", "#053061")
"""Red where F curves downwards, blue where it does not, white at zero (ColorBrewer's RdBu)."""

WIDE = 30.0
"""Values of which the largest is more than this many times the tenth percentile are drawn by logarithms of sizes."""


@dataclass(frozen=True)
class Panel:
    """One quantity over the plane: values [n0, n1] (NaN: a hole), and its scale, or the reach of one around zero.

    ``linear`` is where the scale around zero turns from logarithmic to linear; None where it is linear throughout.
    """

    name: str
    values: np.ndarray
    scale: Scale | None = None
    reach: float = 0.0
    linear: float | None = None

    def shade(self, values: np.ndarray) -> np.ndarray:
        """Values of a scale around zero as numbers from −1 to 1, in which colours are even."""
        if self.linear is None:
            return values / self.reach
        return np.sign(values) * np.log1p(np.abs(values) / self.linear) / np.log1p(self.reach / self.linear)

    def ticks(self) -> list[float]:
        """Round numbers on either side of zero."""
        if self.linear is None:
            return Scale(-self.reach, self.reach, log=False).ticks(6)
        powers = 10.0 ** np.arange(np.ceil(np.log10(self.linear)), np.floor(np.log10(self.reach)) + 1)
        sizes = powers[:: max(1, -(-powers.size // 4))].tolist() or [self.reach]
        return [*(-p for p in reversed(sizes)), 0.0, *sizes]

    @property
    def kind(self) -> str:
        """The scale in words."""
        if self.scale is not None:
            return self.scale.name
        return "linear scale" if self.linear is None else f"log of the size beyond ±{self.linear:.1g}"


def panels(record: Surface) -> list[Panel]:
    """Smallest eigenvalue, its ratio to the largest, the largest, and the gradient's share inside the plane."""
    good = settled(record.data)
    smallest, largest = (np.where(good, record.data[name], np.nan) for name in ("smallest", "largest"))
    shares, inside = ratio(record.data), record.data["gradient_inside"]
    most = float(np.max(inside[np.isfinite(inside)], initial=0.0))
    return [
        around_zero("smallest eigenvalue", smallest),
        Panel("|smallest / largest| eigenvalue", shares, scale_of(shares)),
        around_zero("largest eigenvalue", largest)
        if (largest < 0).any()
        else Panel("largest eigenvalue", largest, scale_of(largest)),
        Panel("share of the gradient inside the plane", inside, Scale(0.0, most if most > 0 else 1.0, log=False)),
    ]


def around_zero(name: str, values: np.ndarray) -> Panel:
    """A panel whose colours part the signs."""
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    if not sizes.size:
        return Panel(name, values, None, 1.0)
    reach, low = float(sizes.max()), float(np.quantile(sizes, 0.1))
    return Panel(name, values, None, reach, low if reach / low > WIDE else None)
