"""Gradient descent with a short step ends at no strict saddle, from almost every start (Lee et al. 2016)."""

from __future__ import annotations

import math
from typing import ClassVar, final

import torch

from thalweg.critical.geometry import local
from thalweg.descent import Descent, GradientDescent
from thalweg.records import Check, Guarantee
from thalweg.records.survival import wilson
from thalweg.theory.claim import Case, Claim, Conclusion
from thalweg.theory.hypotheses import critical
from thalweg.theory.subject import Subject
from thalweg.zoo import cubic_saddle, strict_saddle

STARTS = 1000
"""Starts about the point; none of so many that ends there bounds the share by one per cent."""

RADIUS = 1e-3
"""How far they lie at most, as a share of 1 + |theta|."""

DENSE = 1000
"""Up to this many parameters the whole Hessian is taken."""

STEPS = 20_000
"""Beyond so many steps a saddle is too flat for a judgement."""

UNSEEN = 2e-2
"""Growth of a step that is waited for where there is no negative curvature."""

NEGATIVE = 1e-9
"""Eigenvalues above minus this share of the largest count as zero."""


@final
class StrictSaddles(Claim):
    """The set of starts from which the iteration converges to a strict saddle has measure zero."""

    id: ClassVar[str] = "lee_2016.strict_saddles"
    statement: ClassVar[str] = (
        "Gradient descent with a step below 1/L, L the largest |eigenvalue| of the Hessian, converges to a strict "
        "saddle from no more than a null set of starts."
    )
    citation: ClassVar[str] = "Lee, Simchowitz, Jordan & Recht 2016, Conference on Learning Theory"
    states: ClassVar[tuple[str, ...]] = ("000.second_order",)
    verified: ClassVar[bool] = False

    def hypotheses(self, subject: Subject) -> tuple[Check, ...]:
        """A critical point with negative curvature, small enough for its whole Hessian."""
        size = Check.at_most("parameters", subject.theta.numel(), DENSE)
        found = [critical(subject), size]
        if not all(check.ok for check in found):
            return tuple(found)
        values = _spectrum(subject)
        found.append(Check.above("−λ_min/|λ|_max", -float(values[0]) / float(values.abs().max() or 1.0), NEGATIVE))
        return tuple(found)

    def conclude(self, subject: Subject) -> Conclusion:
        """How many random starts nearby have not fallen below the saddle's value after the steps that this takes.

        The step is 1/(2L) and F then falls in every step, so that a start below the saddle's value has left it for
        good. A share is known of N starts only, by Wilson's interval.
        """
        values, theta = _spectrum(subject), subject.theta
        largest, lowest = float(values.abs().max()) or 1.0, -float(values[0])
        rate = 1 / (2 * largest)
        growth = math.log1p(rate * lowest if lowest > NEGATIVE * largest else UNSEEN)
        steps = math.ceil((math.log(1e5 * STARTS * math.sqrt(theta.numel())) + 10) / growth)
        if steps > STEPS:
            return Conclusion(None, f"it takes {steps:,} steps to leave this saddle, more than {STEPS:,}")
        generator = subject.rng("starts").torch()
        away = torch.randn(STARTS, theta.numel(), generator=generator, dtype=torch.float64)
        away = RADIUS * (1 + float(theta.norm())) * away / away.norm(dim=1, keepdim=True)
        objective = subject.objective
        level = subject.loss - 1e-12 * (1e-3 + abs(subject.loss))
        starts = objective.retract(theta + away.to(theta))
        run = Descent(GradientDescent(rate), steps=steps, every=steps, stop_loss=level)(objective, starts)
        stay = int((run.final_loss > level).sum())
        low, high = wilson(stay, STARTS)
        share = f"a share in [{low:.2g}, {high:.2g}]"
        said = f"{stay} of {STARTS} starts nearby are not below it after {steps:,} steps, {share}"
        return Conclusion(stay == 0, said, {"stay": stay, "starts": STARTS, "high": high}, Guarantee.SAMPLED)

    def example(self) -> Case:
        """A saddle of index 1 between two minima."""
        objective = strict_saddle(5)
        return Case(objective, torch.zeros(5, dtype=torch.float64))

    def control(self) -> Case:
        """x³ + y²: no negative curvature, and half of the starts are drawn to it."""
        return Case(cubic_saddle(), torch.zeros(2, dtype=torch.float64), drops="−λ_min/|λ|_max")


def _spectrum(subject: Subject) -> torch.Tensor:
    """The Hessian's eigenvalues, ascending; on a manifold those of the tangent space."""
    with local(subject.objective, subject.theta) as here:
        return torch.linalg.eigvalsh(here.dense())
