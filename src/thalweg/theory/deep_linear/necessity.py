"""Both conditions of the theorem are needed: starts without one of them from which descent fails.

Arora, Cohen, Golowich & Hu 2019, Appendix C, Claims 4 and 5; the scalar and diagonal instances here are ours.
"""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
import torch

from thalweg.records import Check
from thalweg.theory.claim import Case, Claim, Conclusion
from thalweg.theory.deep_linear.build import balanced, point, whitened
from thalweg.theory.deep_linear.convergence import descend, imbalance, margin
from thalweg.theory.deep_linear.problem import WHITE, Problem, target_of
from thalweg.theory.hypotheses import deep_linear, squared_error
from thalweg.theory.subject import Subject

ETAS = (1e-3, 1e-2, 1e-1)
"""Steps that are tried, in the units of ½‖W − Φ‖²."""

STEPS = 3000
"""Steps that are followed at each."""


def least_losses(subject: Subject, problem: Problem, eta: float, steps: int = STEPS) -> float:
    """The least ½‖W − Φ‖² that gradient descent at ``eta`` reaches; it may overflow on the way."""
    now, phi = [w.numpy() for w in subject.weights], problem.target.numpy()
    least = float("inf")
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(steps):
            now = descend(now, phi, eta)
            total = now[0]
            for w in now[1:]:
                total = w @ total
            loss = 0.5 * float(np.square(total - phi).sum())
            if not loss < 1e30:
                break
            least = min(least, loss)
    return least


def _setting(subject: Subject) -> tuple[list[Check], Problem | None]:
    found = [deep_linear(subject), squared_error(subject)]
    problem = target_of(subject) if all(check.ok for check in found) else None
    if problem is not None:
        found.append(Check.at_most("‖XXᵀ/α − I‖_F", problem.unwhitened, WHITE))
        found.append(Check.given("an even number of layers", len(subject.weights) % 2 == 0))
    return found, problem


@final
class Unbalanced(Claim):
    """Without balancedness a margin does not help."""

    id: ClassVar[str] = "arora_2019.without_balance"
    statement: ClassVar[str] = (
        "For every step η there are starts with a deficiency margin, but with an imbalance of order 1/η, from which "
        "gradient descent on a deep linear network does not converge to the global minimum."
    )
    citation: ClassVar[str] = "Arora, Cohen, Golowich & Hu 2019, Appendix C, Claim 4"
    loss_scale: ClassVar[str] = "½‖W_N … W_1 − Φ‖_F²"
    states: ClassVar[tuple[str, ...]] = ("000.necessity",)

    def hypotheses(self, subject: Subject) -> tuple[Check, ...]:
        """The theorem's setting, a margin, and an imbalance of 20/η at the smallest step tried."""
        found, problem = _setting(subject)
        if problem is not None:
            found.append(Check.above("deficiency margin c", margin(subject.weights, problem.target), 0.0))
            found.append(Check.at_least("imbalance δ against 20/η", imbalance(subject.weights), 20 / min(ETAS)))
        return tuple(found)

    def conclude(self, subject: Subject) -> Conclusion:
        """The least loss at each step size stays above a tenth of the first."""
        problem = target_of(subject)
        assert problem is not None
        least = {f"least loss at η = {eta:g}": least_losses(subject, problem, eta) for eta in ETAS}
        first = subject.loss / problem.scale
        ok = min(least.values()) > 0.1 * min(first, 1e-3)
        said = f"from {first:.3g} the loss never falls below {min(least.values()):.3g} at any step tried"
        return Conclusion(ok, said, least)

    def example(self) -> Case:
        """Two scalar layers (B, .95/B) for Φ = 1, with B = 10/√η."""
        return self._scalar(10 / min(ETAS) ** 0.5)

    def control(self) -> Case:
        """The same with B = 1, nearly balanced."""
        return self._scalar(1.0)

    @staticmethod
    def _scalar(b: float) -> Case:
        risk = whitened((1, 1, 1), torch.ones(1, 1, dtype=torch.float64))
        weights = [torch.full((1, 1), x, dtype=torch.float64) for x in (b, 0.95 / b)]
        return Case(risk, point(risk, weights), drops="imbalance δ against 20/η")


@final
class WithoutMargin(Claim):
    """Without a margin balancedness does not help.

    With two layers the place where descent stays is a strict saddle, which rounding may leave after many steps.
    """

    id: ClassVar[str] = "arora_2019.without_margin"
    statement: ClassVar[str] = (
        "From W_j = I, which is balanced, an even number of layers never passes to a symmetric target with a negative "
        "eigenvalue: the loss stays above half the sum of the squares of the negative eigenvalues, for every step."
    )
    citation: ClassVar[str] = "Arora, Cohen, Golowich & Hu 2019, Appendix C, Claim 5; Bartlett et al. 2018"
    loss_scale: ClassVar[str] = "½‖W_N … W_1 − Φ‖_F²"
    states: ClassVar[tuple[str, ...]] = ("000.necessity", "000.bartlett")

    def hypotheses(self, subject: Subject) -> tuple[Check, ...]:
        """The theorem's setting, the identity in every layer, a symmetric target with a negative eigenvalue."""
        found, problem = _setting(subject)
        if problem is None:
            return tuple(found)
        away = max(float((w - torch.eye(*w.shape, dtype=w.dtype)).norm()) for w in subject.weights)
        found.append(Check.at_most("distance of the layers from the identity", away, 1e-12))
        phi = problem.target
        square = phi.shape[0] == phi.shape[1]
        odd = float((phi - phi.T).norm()) if square else float("inf")
        found.append(Check.at_most("asymmetry of Φ", odd, 1e-9 * float(phi.norm())))
        if square:
            least = float(torch.linalg.eigvalsh((phi + phi.T) / 2)[0])
            found.append(Check.above("minus the least eigenvalue of Φ", -least, 0.0))
        return tuple(found)

    def conclude(self, subject: Subject) -> Conclusion:
        """The floor, and the least loss at each step size."""
        problem = target_of(subject)
        assert problem is not None
        negative = torch.linalg.eigvalsh((problem.target + problem.target.T) / 2).clamp(max=0.0)
        floor = 0.5 * float(negative.square().sum())
        least = {f"least loss at η = {eta:g}": least_losses(subject, problem, eta) for eta in ETAS}
        ok = min(least.values()) >= floor * (1 - 1e-12)
        return Conclusion(
            ok, f"the loss stays above {floor:.4g}: least {min(least.values()):.6g}", {"floor": floor, **least}
        )

    def example(self) -> Case:
        """Φ = diag(1, −1), four layers from the identity."""
        return self._diagonal(1.0)

    def control(self) -> Case:
        """The same with the second sign of one layer turned: the path no longer has to cross zero."""
        return self._diagonal(-0.5)

    @staticmethod
    def _diagonal(second: float) -> Case:
        risk = whitened((2, 2, 2, 2, 2), torch.diag(torch.tensor([1.0, -1.0], dtype=torch.float64)))
        weights = balanced(torch.eye(2), (2, 2, 2, 2, 2))
        weights[0] = torch.diag(torch.tensor([1.0, second], dtype=torch.float64))
        return Case(risk, point(risk, weights), drops="distance of the layers from the identity")
