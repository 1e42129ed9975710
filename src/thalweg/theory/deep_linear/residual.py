"""Linear residual networks from the identity: which targets are reached (Bartlett, Helmbold & Long 2018)."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
import torch

from thalweg.records import Check
from thalweg.theory.claim import Case, Claim, Conclusion
from thalweg.theory.deep_linear.build import balanced, point, whitened
from thalweg.theory.deep_linear.convergence import descend
from thalweg.theory.deep_linear.problem import WHITE, target_of
from thalweg.theory.hypotheses import deep_linear, squared_error
from thalweg.theory.subject import Subject

STEPS = 3000
"""Steps that are followed."""


def recursion(eigenvalues: np.ndarray, layers: int, eta: float, steps: int) -> np.ndarray:
    """θ ← θ − η θ^{N−1}(θ^N − λ) from θ = 1, for each eigenvalue of the target: the layers' own eigenvalues, [k].

    From the identity all layers stay equal and commute with a symmetric target, so that gradient descent on the
    matrices is this recursion on numbers.
    """
    theta = np.ones_like(eigenvalues)
    for _ in range(steps):
        theta = theta - eta * theta ** (layers - 1) * (theta**layers - eigenvalues)
    return theta


@final
class PositiveTargets(Claim):
    """Positive definite targets are reached from the identity at a linear rate."""

    id: ClassVar[str] = "bartlett_2018.positive_targets"
    statement: ClassVar[str] = (
        "On whitened data, gradient descent from W_j = I in all layers reaches a symmetric positive definite target at "
        "a linear rate."
    )
    citation: ClassVar[str] = "Bartlett, Helmbold & Long 2018 (abstract read; constants derived for symmetric targets)"
    loss_scale: ClassVar[str] = "½‖W_N … W_1 − Φ‖_F²"
    states: ClassVar[tuple[str, ...]] = ("000.bartlett", "000.balance_at_start")

    def hypotheses(self, subject: Subject) -> tuple[Check, ...]:
        """Deep linear, squared error, whitened, the identity in every layer, a symmetric positive definite target."""
        found = [deep_linear(subject), squared_error(subject)]
        problem = target_of(subject) if all(check.ok for check in found) else None
        if problem is None:
            return tuple(found)
        found.append(Check.at_most("‖XXᵀ/α − I‖_F", problem.unwhitened, WHITE))
        away = max(float((w - torch.eye(*w.shape, dtype=w.dtype)).norm()) for w in subject.weights)
        found.append(Check.at_most("distance of the layers from the identity", away, 1e-12))
        phi = problem.target
        square = phi.shape[0] == phi.shape[1]
        odd = float((phi - phi.T).norm()) if square else float("inf")
        found.append(Check.at_most("asymmetry of Φ", odd, 1e-9 * float(phi.norm())))
        if square:
            found.append(Check.above("least eigenvalue of Φ", float(torch.linalg.eigvalsh((phi + phi.T) / 2)[0]), 0.0))
        return tuple(found)

    def conclude(self, subject: Subject) -> Conclusion:
        """The loss after :data:`STEPS` steps, its factor per step at the end, and the distance from the recursion."""
        problem = target_of(subject)
        assert problem is not None
        phi, layers = problem.target, len(subject.weights)
        values, vectors = (x.numpy() for x in torch.linalg.eigh((phi + phi.T) / 2))
        # Near the target the curvature is N λ^{2 − 2/N}; on the way it is at most N max(1, λ)^2.
        eta = 0.5 / (layers * max(1.0, float(np.abs(values).max())) ** 2)
        now, losses = [w.numpy() for w in subject.weights], []
        for _ in range(STEPS):
            now = descend(now, phi.numpy(), eta)
            total = now[0]
            for w in now[1:]:
                total = w @ total
            losses.append(0.5 * float(np.square(total - phi.numpy()).sum()))
        scalar = recursion(values, layers, eta, STEPS)
        apart = max(float(np.abs(w - (vectors * scalar) @ vectors.T).max()) for w in now)
        first = subject.loss / problem.scale
        half = losses[: next((i for i, x in enumerate(losses) if x < 1e-20), len(losses))]
        factor = (
            (half[-1] / half[len(half) // 2]) ** (1 / max(len(half) - 1 - len(half) // 2, 1)) if len(half) > 1 else 0.0
        )
        ok = losses[-1] < 1e-12 * max(first, 1e-300) and apart < 1e-8
        said = (
            f"after {STEPS:,} steps of {eta:.3g} the loss went from {first:.3g} to {losses[-1]:.3g}, by {factor:.4f} a "
            f"step; matrices and recursion differ by {apart:.2g}"
        )
        return Conclusion(ok, said, {"eta": eta, "loss": losses[-1], "factor": factor, "recursion": apart})

    def example(self) -> Case:
        """Φ with eigenvalues .5 and 2, three layers."""
        return self._target(0.5)

    def control(self) -> Case:
        """Φ with eigenvalues −.2 and 2: the loss stays at ½·.2²."""
        return self._target(-0.2)

    @staticmethod
    def _target(least: float) -> Case:
        turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
        phi = turn @ torch.diag(torch.tensor([least, 2.0], dtype=torch.float64)) @ turn.T
        risk = whitened((2, 2, 2, 2), phi)
        return Case(risk, point(risk, balanced(torch.eye(2), (2, 2, 2, 2))), drops="least eigenvalue of Φ")
