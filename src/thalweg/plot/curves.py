"""What both kinds of figure need to know about a curve: its chord, its rise, its labels, its range."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from thalweg.records import Profile, Run, Spectrum

MANY = 6
"""More descents than this are drawn as thin lines of one colour and not named."""


@dataclass(frozen=True)
class Rise:
    """Where a profile stands highest above its chord: at coordinate ``at``, from ``foot`` to ``top``."""

    at: float
    foot: float
    top: float

    @property
    def height(self) -> float:
        """How far above the chord, in units of F."""
        return self.top - self.foot

    def middle(self, log: bool) -> float:
        """Half-way up the picture."""
        return math.sqrt(self.foot * self.top) if log and self.foot > 0 else (self.foot + self.top) / 2


def chord_of(record: Profile) -> np.ndarray:
    """The straight line between the values at the two ends, [steps]; not straight on a logarithmic axis."""
    t = record.data["coordinates"]
    with np.errstate(invalid="ignore"):  # an infinite end has no chord, and NaN says so
        return record.loss[0] + (t - t[0]) / (t[-1] - t[0]) * (record.loss[-1] - record.loss[0])


def rise_of(record: Profile) -> Rise | None:
    """The largest sampled rise above the chord of a profile that joins two points; None where there is none."""
    if len(record.marks) != 2:
        return None
    chord = chord_of(record)
    with np.errstate(invalid="ignore"):
        above = np.where(np.isfinite(record.loss), record.loss - chord, np.nan)
    if not np.isfinite(above).any():
        return None
    i = int(np.nanargmax(above))
    rounding = max(record.provenance.tolerance, 1e-12) * float(np.nanmax(np.abs(record.loss[np.isfinite(record.loss)])))
    if not above[i] > rounding:
        return None
    return Rise(float(record.data["coordinates"][i]), float(chord[i]), float(record.loss[i]))


def run_labels(record: Run) -> list[str]:
    """A name for each of the B descents: its point's, or its number."""
    names = record.provenance.points
    return [names[b] if b < len(names) else f"descent {b + 1}" for b in range(record.data["loss"].shape[1])]


def symlog_threshold(record: Spectrum) -> float | None:
    """Where a symmetric-log axis turns linear: a decade of the range below the smallest; None when none is needed."""
    size = np.abs(record.eigenvalues[np.isfinite(record.eigenvalues) & (record.eigenvalues != 0)])
    if not size.size or size.max() / size.min() <= 100:
        return None
    return 10.0 ** math.floor(math.log10(max(float(size.min()), float(size.max()) * 1e-6)))
