"""Euler's theorem on homogeneous functions, as a statement that is examined on a network."""

from __future__ import annotations

import math
from typing import final

import torch

from thalweg.core.function import Function
from thalweg.records import Check, Guarantee
from thalweg.theory import Case, Claim, Conclusion, Subject

SCALES = (0.5, 2.0, 4.0)
"""Where homogeneity is looked at; between them it is not proved."""


@final
class Homogeneous(Claim):
    """θ·∇F(θ) = k F(θ) wherever F(cθ) = c^k F(θ); k is measured from F(2θ)."""

    id = "euler_1755.homogeneous"
    statement = "If F(cθ) = c^k F(θ) for every c > 0, then θ·∇F(θ) = k F(θ)."
    citation = "Euler's theorem on homogeneous functions (1755; place unverified)"
    verified = False

    def hypotheses(self, subject: Subject) -> tuple[Check, ...]:
        """F is positive here, and one k fits every scale."""
        positive = Check.above("F(θ)", subject.loss, 0.0)
        if not positive.ok:
            return (positive,)
        values = subject.objective.losses(torch.stack([c * subject.theta for c in SCALES])).tolist()
        k = self._degree(subject)
        off = max(abs(value / (c**k * subject.loss) - 1) for c, value in zip(SCALES, values, strict=True))
        return (positive, Check.at_most("largest relative |F(cθ)/(c^k F(θ)) − 1| at c = ½, 2, 4", off, 1e-9))

    def conclude(self, subject: Subject) -> Conclusion:
        """Both sides beside each other."""
        k, radial = self._degree(subject), float(subject.theta @ subject.gradient)
        ok = math.isclose(radial, k * subject.loss, rel_tol=1e-7)
        said = f"θ·∇F = {radial:.6g} and k F = {k * subject.loss:.6g}, k = {k:.6g}"
        return Conclusion(ok, said, {"degree": k, "radial": radial}, Guarantee.SAMPLED)

    def example(self) -> Case:
        """A quartic form."""
        form = Function(lambda x: (x[0] * x[1]).square() + x[2] ** 4, 3)
        return Case(form, torch.tensor([0.5, -1.5, 0.7], dtype=torch.float64))

    def control(self) -> Case:
        """The same with a quadratic form added: no k fits every scale."""
        mixed = Function(lambda x: (x[0] * x[1]).square() + x[2] ** 4 + x.square().sum(), 3)
        point = torch.tensor([0.5, -1.5, 0.7], dtype=torch.float64)
        return Case(mixed, point, drops="largest relative |F(cθ)/(c^k F(θ)) − 1| at c = ½, 2, 4")

    def _degree(self, subject: Subject) -> float:
        doubled = float(subject.objective.losses(2 * subject.theta[None])[0])
        return math.log2(doubled / subject.loss)
