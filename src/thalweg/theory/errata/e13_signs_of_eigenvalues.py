"""E13: what the eigenvalues of the Hessian say of a critical point."""

from __future__ import annotations

import itertools
from typing import ClassVar, final

import torch
from torch import Tensor

from thalweg.core.function import Function
from thalweg.critical import classify
from thalweg.theory.errata.erratum import Erratum, Judgement, Shown
from thalweg.zoo.functions import scalar_chain, scalar_factorisation


def _wells(t: Tensor) -> Tensor:
    return ((t**2 - 1) ** 2 * torch.tensor([1.0, 2.0, 3.0], dtype=t.dtype)).sum()


@final
class SignsOfEigenvalues(Erratum):
    """Right for non-degenerate critical points."""

    id: ClassVar[str] = "E13"
    place: ClassVar[str] = "003 fourth paragraph"
    quote: ClassVar[str] = (
        "A saddle point is a critical point where the Hessian is neither positive definite nor negative definite, i.e. "
        "some eigenvalues of the Hessian are positive while some are negative. For a local minima, all the eigenvalues "
        "of the Hessian are strictly positive (Hessian is positive definite)."
    )
    judgement: ClassVar[Judgement] = "needs a hypothesis"
    corrected: ClassVar[str] = (
        "Correct for non-degenerate critical points alone. Otherwise the two halves of the “i.e.” differ: a Hessian "
        "that is neither may be semidefinite, at a minimum or at a saddle."
    )
    fairness: ClassVar[str] = "An essay for a general reader; minima of over-parameterised networks are all degenerate."
    states: ClassVar[tuple[str, ...]] = ("003.saddle", "001.saddle", "002.degenerate")

    def refute(self) -> Shown:
        """(vw − 1)² at (1, 1): a global minimum with eigenvalues 0 and 4; (xyz − 1)² at 0: a saddle with H = 0."""
        flat = classify(scalar_factorisation(), torch.ones(2))
        lowest = float(flat.data["eigenvalues"].min())
        chain = scalar_chain()
        zero = classify(chain, torch.zeros(3))
        largest = float(abs(zero.data["eigenvalues"]).max())
        sides = chain.losses(torch.tensor([[0.1, 0.1, 0.1], [-0.1, 0.1, 0.1]])) - 1
        ok = abs(lowest) < 1e-12 and flat.value == 0.0 and largest < 1e-12 and float(sides.prod()) < 0
        said = (
            f"a global minimum (F = {flat.value:g}) has least eigenvalue {abs(lowest):.1g}; where all are 0 to "
            f"{largest:.1g}, F − F(0) takes {float(sides[0]):.2g} and {float(sides[1]):.2g}"
        )
        return Shown(ok, said, {"lowest": lowest, "largest": largest, "below": float(sides.min())})

    def confirm(self) -> Shown:
        """All 27 critical points of a function without degenerate ones, by signs and by values around them."""
        fn = Function(_wells, 3, initial=torch.zeros(3, dtype=torch.float64))
        around = torch.randn(400, 3, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
        around = torch.cat([around, torch.eye(3, dtype=torch.float64)])
        right, kinds = 0, set[str]()
        for place in itertools.product((-1.0, 0.0, 1.0), repeat=3):
            theta = torch.tensor(place, dtype=torch.float64)
            values = classify(fn, theta).data["eigenvalues"]
            said = "saddle" if values.min() < 0 < values.max() else "minimum" if values.min() > 0 else "maximum"
            change = fn.losses(theta + 1e-3 * around) - fn.losses(theta[None])
            seen = "minimum" if bool((change > 0).all()) else "maximum" if bool((change < 0).all()) else "saddle"
            right, kinds = right + (said == seen), kinds | {seen}
        said = f"eigenvalues and values nearby agree at {right} of 27 critical points, of {len(kinds)} kinds"
        return Shown(right == 27 and len(kinds) == 3, said, {"right": right, "kinds": len(kinds)})


if __name__ == "__main__":
    print(SignsOfEigenvalues().report())
