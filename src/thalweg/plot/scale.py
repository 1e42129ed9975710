"""Which scale values are drawn on, decided from the values themselves and named on the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

LOG_RATIO = 30.0
"""Values whose largest is more than this many times the smallest positive one are drawn on a logarithmic scale."""

ROUNDING = 1e-12
"""Values that differ by less than this share of their size differ by rounding, and no tick could tell them apart."""

CLIP = 4.0
"""Where the whole range is more than this many times that of the lowest 90 %, colours end at twice the latter.

On a logarithmic scale the same holds of the highest 90 %: what is lower by rounding alone takes no colours either.
"""


@dataclass(frozen=True)
class Scale:
    """A finite range, whether it is logarithmic, and how many values are drawn at its ends.

    ``zeros``: drawn at ``low`` on a logarithmic scale. ``clipped``: larger ones drawn at ``high``. ``sunk``: smaller
    positive ones drawn at ``low``.
    """

    low: float
    high: float
    log: bool
    zeros: int = 0
    clipped: int = 0
    sunk: int = 0

    @property
    def name(self) -> str:
        """As printed beside the colour bar or the axis."""
        said = ["log scale" if self.log else "linear scale"]
        said += [f"{_counted(self.zeros, 'zero')} drawn at {self.low:.2g}"] if self.zeros else []
        said += [f"{_counted(self.sunk, 'value')} below {self.low:.2g} drawn at it"] if self.sunk else []
        said += [f"{_counted(self.clipped, 'value')} above {self.high:.3g} drawn at it"] if self.clipped else []
        return ", ".join(said)

    def levels(self, count: int = 18) -> np.ndarray:
        """Contour levels, increasing, from low to high."""
        if self.log:
            return np.geomspace(self.low, self.high, count)
        return np.linspace(self.low, self.high, count)

    def shown(self, values: np.ndarray) -> np.ndarray:
        """Values as drawn: zeros and what is clipped at the ends of the scale, what is not finite as NaN."""
        found = np.where(np.isfinite(values), values, np.nan)
        found = np.maximum(found, self.low) if self.zeros or self.sunk else found
        return np.minimum(found, self.high) if self.clipped else found

    def ticks(self, count: int = 6) -> list[float]:
        """Round numbers within the range: 1, 2, 5 of each decade or 1, 3 or powers of ten; at most about ``count``."""
        if self.log:
            for steps in ((1, 2, 5), (1, 3), (1,)):
                found = [t for t in decades(self.low, self.high, steps) if self.low <= t <= self.high]
                if len(found) <= count + 1:
                    break
            return found[:: math.ceil(len(found) / (count + 1))] if found else [self.low, self.high]
        rough = (self.high - self.low) / count
        step = 10.0 ** math.floor(math.log10(rough))
        step *= next(m for m in (1, 2, 5, 10) if m * step >= rough)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [i * step for i in range(first, last + 1)]


def scale_of(values: np.ndarray, *, clip: bool = False) -> Scale:
    """The scale for these values; a constant gets a small range around it, and negative ones stay linear.

    With ``clip``, few values far above all others do not take the colours from them: see :data:`CLIP`.
    """
    found = _whole(values)
    if not clip:
        return found
    finite = values[np.isfinite(values)]
    if finite.size < 2:
        return found
    found = _clipped(found, finite)
    return _sunk(found, finite) if found.log else found


def _clipped(found: Scale, finite: np.ndarray) -> Scale:
    """Few values far above all others are drawn at the upper end."""
    place = np.log10 if found.log else np.asarray
    low, high = (float(place(x)) for x in (found.low, found.high))
    most = float(place(max(np.quantile(finite, 0.9), found.low)))
    if not (most > low and high - low > CLIP * (most - low)):
        return found
    end = low + 2 * (most - low)
    end = 10.0**end if found.log else end
    return Scale(found.low, end, found.log, found.zeros, int(np.count_nonzero(finite > end)))


def _sunk(found: Scale, finite: np.ndarray) -> Scale:
    """Few values far below all others are drawn at the lower end of a logarithmic scale."""
    low, high = math.log10(found.low), math.log10(found.high)
    least = math.log10(max(np.quantile(finite, 0.1), found.low))
    if not (least < high and high - low > CLIP * (high - least)):
        return found
    end = 10.0 ** (high - 2 * (high - least))
    sunk = int(np.count_nonzero((finite > 0) & (finite < end)))
    return Scale(end, found.high, True, found.zeros, found.clipped, sunk)


def _whole(values: np.ndarray) -> Scale:
    """From the smallest to the largest finite value."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return Scale(0.0, 1.0, log=False)
    low, high = float(finite.min()), float(finite.max())
    if high - low <= ROUNDING * max(abs(low), abs(high)):
        room = abs(low) * 1e-6 + 1e-12
        return Scale(low - room, high + room, log=False)
    if low < 0 or high <= 0:
        return Scale(low, high, log=False)
    smallest = float(finite[finite > 0].min())
    if high / smallest <= LOG_RATIO:
        return Scale(low, high, log=False)
    return Scale(smallest, high, log=True, zeros=int(np.count_nonzero(finite == 0)))


def decades(low: float, high: float, steps: tuple[int, ...]) -> list[float]:
    """``steps`` times every power of ten from the decade of ``low`` to that of ``high``."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return [float(f"{m}e{power}") for power in range(first, last + 1) for m in steps]


def written(ticks: list[float]) -> list[str]:
    """Ticks as text, with as few digits as tell them apart."""
    for digits in range(3, 12):
        found = [f"{t:.{digits}g}" for t in ticks]
        if len(set(found)) == len(ticks):
            return found
    return [repr(t) for t in ticks]


def _counted(count: int, name: str) -> str:
    return f"{count:,} {name}" + ("s" if count > 1 else "")
