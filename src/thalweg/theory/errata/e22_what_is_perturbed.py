"""E22: perturbed gradient descent moves the iterate, and seldom."""

from __future__ import annotations

from typing import ClassVar, final

import torch
from torch import Tensor

from thalweg.core.function import Function
from thalweg.descent import Ball, Descent, GradientDescent, Perturbed
from thalweg.theory.errata.erratum import Erratum, Judgement, Shown

RATE, RADIUS, STEPS = 0.1, 0.05, 300


def _saddle(t: Tensor) -> Tensor:
    return (t[0] ** 2 - t[1] ** 2) / 2 + t[1] ** 4 / 4


@final
class WhatIsPerturbed(Erratum):
    """Noise is added to the point, not to every gradient."""

    id: ClassVar[str] = "E22"
    place: ClassVar[str] = "003 fifth paragraph"
    quote: ClassVar[str] = (
        "In [15], Perturbed Gradient Descent (which essentially perturbs the gradients with isotropic uniform noise) "
        "is proposed"
    )
    judgement: ClassVar[Judgement] = "informal"
    corrected: ClassVar[str] = (
        "The iterate is perturbed, uniformly in a ball, and only where the gradient is small and the last perturbation "
        "some time ago (Jin et al. 2017, Algorithm 2); all other steps are those of gradient descent."
    )
    fairness: ClassVar[str] = "“Essentially” covers it: noise on one gradient moves the iterate as well."
    states: ClassVar[tuple[str, ...]] = ("003.perturbed",)

    def refute(self) -> Shown:
        """A run from the stable manifold of a saddle: nearly every step is −η∇F, and kicks fill their ball."""
        moves, plain, gradients = self._run()
        noisy = (moves - plain).norm(dim=1) > 1e-12
        sizes = (moves - plain).norm(dim=1)[noisy]
        most = float(gradients[noisy].max()) if bool(noisy.any()) else float("nan")
        ok = 0 < int(noisy.sum()) < 0.05 * len(moves) and bool((sizes <= RADIUS * (1 + RATE)).all()) and most < 1e-2
        said = (
            f"{int(noisy.sum())} of {len(moves)} steps hold noise, where the gradient is {most:.2g} at most; it moves "
            f"the point by {float(sizes.max()):.3g} within a radius of {RADIUS}"
        )
        return Shown(ok, said, {"noisy": int(noisy.sum()), "largest": float(sizes.max())})

    def confirm(self) -> Shown:
        """The kicks are enough: the run ends in a minimum, and without them at the saddle."""
        fn = Function(_saddle, 2, initial=torch.zeros(2, dtype=torch.float64))
        start = torch.tensor([1.0, 0.0], dtype=torch.float64)
        plain = float(Descent(GradientDescent(RATE), steps=STEPS)(fn, start).final_loss[0])
        kicked = float(Descent(self._rule(), steps=STEPS)(fn, start).final_loss[0])
        said = f"F ends at {kicked:.6g} with kicks and at {plain:.1g} without"
        return Shown(kicked < -0.24 and plain >= 0, said, {"kicked": kicked, "plain": plain})

    @staticmethod
    def _rule() -> Perturbed:
        return Perturbed(GradientDescent(RATE), Ball(RADIUS), g_thres=1e-2, t_thres=100)

    def _run(self) -> tuple[Tensor, Tensor, Tensor]:
        """Every step, what gradient descent would have done there [T, 2], and the gradient's norm [T]."""
        fn = Function(_saddle, 2, initial=torch.zeros(2, dtype=torch.float64))
        start = torch.tensor([1.0, 0.0], dtype=torch.float64)
        thetas = torch.tensor(Descent(self._rule(), steps=STEPS, every=1)(fn, start).data["thetas"][:, 0])
        gradient = fn.value_and_grad(thetas[:-1])[1]
        return thetas.diff(dim=0), -RATE * gradient, gradient.norm(dim=1)


if __name__ == "__main__":
    print(WhatIsPerturbed().report())
