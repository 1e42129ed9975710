"""E19: what Kramers' law says of the time spent before a saddle is passed."""

from __future__ import annotations

import itertools
import math
from typing import ClassVar, final

import numpy as np

from thalweg.theory.errata.erratum import Erratum, Judgement, Shown
from thalweg.zoo.wells import mean_passage_time


def well(barrier: float, width: float, temperature: float) -> tuple[float, float]:
    """The mean time from −width to the saddle of barrier·((x/width)² − 1)², doubled, and Kramers' formula for it.

    2π/√(U''(minimum)|U''(saddle)|)·e^{barrier/T}; from the saddle half of the paths fall to either side.
    """

    def potential(x: np.ndarray) -> np.ndarray:
        return barrier * ((x / width) ** 2 - 1) ** 2

    exact = 2 * mean_passage_time(potential, -width, 0.0, temperature, -3 * width)
    curvature = 4 * barrier / width**2
    return exact, 2 * math.pi / math.sqrt(2 * curvature * curvature) * math.exp(barrier / temperature)


@final
class KramersLaw(Erratum):
    """The eigenvalue is in the prefactor; the height is in the exponent."""

    id: ClassVar[str] = "E19"
    place: ClassVar[str] = "002 Saddle points"
    quote: ClassVar[str] = (
        "The time spent by diffusion is inversely proportional to the smallest negative eigenvalue of the Hessian at a "
        "saddle point"
    )
    judgement: ClassVar[Judgement] = "informal"
    corrected: ClassVar[str] = (
        "The mean time to pass from one minimum m over the saddle s to another is about "
        "2π/|λ|·√(|det H_s|/det H_m)·e^{(F(s) − F(m))/T}: the eigenvalue λ stands in the prefactor alone, and the "
        "height of the barrier dominates as T → 0 (Eyring and Kramers; checked here in one dimension)."
    )
    fairness: ClassVar[str] = (
        "Quoted there as a law in one sentence; the time to leave the neighbourhood of a saddle, once there, is of the "
        "order of 1/|λ|, up to a logarithm."
    )
    states: ClassVar[tuple[str, ...]] = ("002.kramers",)

    def refute(self) -> Shown:
        """Two wells with the same eigenvalue, −4, at the saddle and heights 1 and 2: times by exact integration."""
        low, high = (well(height, math.sqrt(height), 0.1)[0] for height in (1.0, 2.0))
        said = f"with eigenvalue −4 at both saddles the times differ by a factor of {high / low:.4g} (T = 0.1)"
        return Shown(high / low > 100, said, {"low": low, "high": high, "ratio": high / low})

    def confirm(self) -> Shown:
        """Kramers' formula against exact integration as T falls; it is off by O(T)."""
        temperatures = (0.2, 0.1, 0.05, 0.025)
        errors = []
        for temperature in temperatures:
            pairs = [well(height, width, temperature) for height, width in ((1.0, 1.0), (1.0, 2.0), (2.0, 1.0))]
            errors.append(max(abs(formula / exact - 1) for exact, formula in pairs))
        said = f"relative errors {', '.join(f'{e:.2g}' for e in errors)} at T = {', '.join(map(str, temperatures))}"
        falling = all(b < 0.7 * a for a, b in itertools.pairwise(errors))
        return Shown(falling and errors[-1] < 0.05, said, {"first": errors[0], "last": errors[-1]})


if __name__ == "__main__":
    print(KramersLaw().report())
