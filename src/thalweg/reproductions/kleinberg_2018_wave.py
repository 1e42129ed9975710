"""x²/2 + (1/b)·sin bx under uniform noise: its minima by the closed form and by descent, its ends after noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from thalweg.core.function import Function
from thalweg.core.metered import Meter, Metered
from thalweg.core.rng import Stream
from thalweg.core.smoothed import Smoothed
from thalweg.descent import SGLD, Descent, GradientDescent
from thalweg.records import Finding

REACH, SHOWN = 2.0, 0.8
"""Descents start in ±REACH; the picture shows ±SHOWN."""


@dataclass(frozen=True)
class Wave:
    """x²/2 + sin(bx)/b with b the ``frequency``, as it is and as its mean over noise of half-widths ``radii``."""

    frequency: float
    radii: tuple[float, ...]

    @property
    def widths(self) -> tuple[float, ...]:
        """No noise, and every half-width."""
        return (0.0, *self.radii)

    def landscape(self) -> Function:
        """x²/2 + sin(bx)/b, whose derivative is x + cos bx."""
        b = self.frequency
        return Function(lambda x: x[0] ** 2 / 2 + torch.sin(b * x[0]) / b, 1)

    def descents(self, starts: int, meter: Meter, rng: Stream) -> dict[str, np.ndarray]:
        """Means over noise on a grid; minima as different ends of descents; ends with noise and without."""
        grid = torch.linspace(-SHOWN, SHOWN, 801, dtype=torch.float64)[:, None]
        begin = torch.linspace(-REACH, REACH, starts, dtype=torch.float64)[:, None]
        raw, lr = self.landscape(), 1 / (1 + self.frequency)
        found, counts = {"x": grid[:, 0].numpy()}, []
        for radius in self.widths:
            smooth = Smoothed(raw, radius, "uniform") if radius else raw
            found[f"F.{radius:g}"] = smooth.losses(grid).numpy()
            run = Descent(GradientDescent(lr), steps=400, every=400)(Metered(smooth, meter=meter), begin)
            ends = np.sort(run.final[:, 0])
            counts.append(1 + int((np.diff(ends) > 0.5 / self.frequency).sum()))
            if not radius:
                found["ends.descent"] = run.final[:, 0]
        kick = self.radii[-1] / math.sqrt(3)  # the standard deviation of the largest noise
        noisy = SGLD(temperature=kick**2 / (2 * lr), lr=lr)
        run = Descent(noisy, steps=400, every=400)(Metered(raw, meter=meter), begin, rng=rng)
        settled = Descent(GradientDescent(lr), steps=200, every=200)(raw, torch.tensor(run.final))
        return found | {"minima": np.array(counts), "ends.noisy": settled.final[:, 0]}

    def minima(self, counts: np.ndarray) -> list[Finding]:
        """Descending zeros of −(x + s·cos bx) are minima: those of the closed form, beside those found by descent."""
        x, rows = np.linspace(-1.5, 1.5, 300_001), []
        for radius, count in zip(self.widths, counts, strict=True):
            slope = x + np.sinc(self.frequency * radius / math.pi) * np.cos(self.frequency * x)
            law = int(((slope[:-1] < 0) & (slope[1:] >= 0)).sum())
            said = "closed form: minima of the mean over noise of this half-width"
            rows.append(Finding(f"minima_{radius:g}", said, law, int(count), None, law == count))
        return rows
