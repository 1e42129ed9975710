"""E9: on which end of a line the start lies."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
import torch

from thalweg.descent import Descent, GradientDescent
from thalweg.slices import Line
from thalweg.theory.deep_linear.build import whitened
from thalweg.theory.errata.erratum import Erratum, Judgement, Shown


@final
class DirectionOfALine(Erratum):
    """Conjecture V.1 with the ends exchanged."""

    id: ClassVar[str] = "E9"
    place: ClassVar[str] = "001 §V-A, Conjecture V.1"
    quote: ClassVar[str] = (
        "F_[theta_1,theta_2](alpha) = F(alpha theta_1 + (1-alpha) theta_2). ... F_[theta^0,theta^*](alpha) is a "
        "strictly decreasing function in the interval alpha in [0,1]."
    )
    judgement: ClassVar[Judgement] = "misprint"
    corrected: ClassVar[str] = (
        "With that definition α = 0 is the limit θ* and α = 1 the start θ⁰: the function is meant to increase, or to "
        "be F((1 − α)θ⁰ + αθ*). The sentence before the conjecture has the same slip."
    )
    fairness: ClassVar[str] = "A labelled conjecture, under conditions it leaves open; only the direction is a slip."
    states: ClassVar[tuple[str, ...]] = ("001.conjecture_V.1",)

    def refute(self) -> Shown:
        """Along the printed line of a run of gradient descent F rises at every step."""
        rises = np.diff(self._values()[::-1])
        said = f"F(αθ⁰ + (1 − α)θ*) rises at {int((rises > 0).sum())} of {len(rises)} steps of α"
        return Shown(bool((rises > 0).all()), said, {"least": float(rises.min())})

    def confirm(self) -> Shown:
        """Along F((1 − α)θ⁰ + αθ*) of the same run it falls at every step."""
        values = self._values()
        falls = -np.diff(values)
        said = f"it falls at {int((falls > 0).sum())} of {len(falls)}, from {values[0]:.4g} to {values[-1]:.2g}"
        return Shown(bool((falls > 0).all()), said, {"least": float(falls.min()), "end": float(values[-1])})

    @staticmethod
    def _values() -> np.ndarray:
        """F from the start to the end of a run on a 2-3-2 linear network, at 41 points."""
        risk = whitened((2, 3, 2), torch.diag(torch.tensor([2.0, 1.0], dtype=torch.float64)))
        start = 0.3 * torch.randn(risk.space.size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        run = Descent(GradientDescent(0.1), steps=400, every=400)(risk, start)
        return Line(steps=41)(risk, start, run.final[0]).data["loss"]


if __name__ == "__main__":
    print(DirectionOfALine().report())
