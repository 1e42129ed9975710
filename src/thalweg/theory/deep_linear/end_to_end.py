"""The end-to-end matrix under gradient flow: a preconditioner that no regulariser gives (Arora, Cohen & Hazan 2018)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, final

import torch
from torch import Tensor

from thalweg.records import Check
from thalweg.theory.claim import Case, Claim, Conclusion
from thalweg.theory.deep_linear.build import balanced, point, product, whitened
from thalweg.theory.deep_linear.convergence import imbalance
from thalweg.theory.deep_linear.problem import target_of
from thalweg.theory.hypotheses import deep_linear, squared_error
from thalweg.theory.subject import Subject


def layer_gradients(weights: Sequence[Tensor], gradient: Tensor) -> list[Tensor]:
    """∂l/∂W_j = (W_N … W_{j+1})ᵀ G (W_{j−1} … W_1)ᵀ for G = dl/dW [d_N, d_0]."""
    below: list[Tensor | None] = [None]
    for w in weights[:-1]:
        last = below[-1]
        below.append(w if last is None else w @ last)
    above, found = gradient, []
    for w, under in zip(reversed(weights), reversed(below), strict=True):
        found.append(above if under is None else above @ under.T)
        above = w.T @ above
    return found[::-1]


def moved(weights: Sequence[Tensor], gradient: Tensor) -> Tensor:
    """dW/dt of the product, from the layers' own gradient flow: exact for any weights."""
    steps = layer_gradients(weights, gradient)
    total = torch.zeros_like(gradient)
    for j in range(len(weights)):
        total -= product([*weights[:j], steps[j], *weights[j + 1 :]])
    return total


def preconditioned(matrix: Tensor, gradient: Tensor, layers: int) -> Tensor:
    """−Σ_j [WWᵀ]^{(j−1)/N} G [WᵀW]^{(N−j)/N} (Theorem 1): dW/dt from balanced layers, without them.

    Fractional powers go through the singular values of W: those of WWᵀ turn exact zeros into their rounding.
    """
    u, s, vh = torch.linalg.svd(matrix, full_matrices=True)
    left, right = torch.zeros(len(u)).to(s), torch.zeros(len(vh)).to(s)
    left[: len(s)], right[: len(s)] = s, s
    inside = u.T @ gradient @ vh.T
    factors = sum(
        torch.outer(_power(left, 2 * (j - 1) / layers), _power(right, 2 * (layers - j) / layers))
        for j in range(1, layers + 1)
    )
    return -(u @ (factors * inside) @ vh)


def spectrum(matrix: Tensor, layers: int) -> Tensor:
    """Eigenvalues of that preconditioner, Σ_j s_r^{2(N−j)/N} s_{r'}^{2(j−1)/N}, [d_N, d_0] by left and right vector."""
    s = torch.linalg.svdvals(matrix)
    left, right = torch.zeros(matrix.shape[0]).to(s), torch.zeros(matrix.shape[1]).to(s)
    left[: len(s)], right[: len(s)] = s, s
    found = torch.zeros(matrix.shape).to(s)
    for j in range(1, layers + 1):
        found += torch.outer(_power(left, 2 * (j - 1) / layers), _power(right, 2 * (layers - j) / layers))
    return found


def _power(values: Tensor, exponent: float) -> Tensor:
    return torch.ones_like(values) if exponent == 0 else values**exponent


def circulation(field: Callable[[Tensor], Tensor], centre: Tensor, radius: float, count: int = 400) -> float:
    """∮ v·dx around a circle in the first two coordinates; zero for every gradient field.

    The midpoint rule on a smooth periodic integrand, whose error falls faster than any power of 1/count.
    """
    angles = torch.arange(count, dtype=torch.float64) * (2 * torch.pi / count)
    total = 0.0
    for angle in angles:
        place, along = centre.clone(), torch.zeros_like(centre)
        place[0] += radius * torch.cos(angle)
        place[1] += radius * torch.sin(angle)
        along[0], along[1] = -radius * torch.sin(angle), radius * torch.cos(angle)
        total += float(field(place) @ along) * (2 * torch.pi / count)
    return total


@final
class EndToEnd(Claim):
    """Depth acts on the product as a fixed preconditioner."""

    id: ClassVar[str] = "arora_2018.end_to_end"
    statement: ClassVar[str] = (
        "From balanced layers, gradient flow moves the product W of a deep linear network by "
        "dW/dt = −Σ_j [WWᵀ]^{(j−1)/N} G [WᵀW]^{(N−j)/N}, whatever the loss: a function of W and its gradient G alone."
    )
    citation: ClassVar[str] = "Arora, Cohen & Hazan 2018, Theorem 1"
    states: ClassVar[tuple[str, ...]] = ("000.acceleration",)

    def hypotheses(self, subject: Subject) -> tuple[Check, ...]:
        """Deep linear, squared error (which gives G here), balanced."""
        found = [deep_linear(subject), squared_error(subject)]
        if all(check.ok for check in found) and target_of(subject) is not None:
            size = max(float(w.square().sum()) for w in subject.weights)
            found.append(Check.at_most("imbalance δ", imbalance(subject.weights), 1e-12 * max(size, 1.0)))
        return tuple(found)

    def conclude(self, subject: Subject) -> Conclusion:
        """The largest relative difference between the two velocities of the product."""
        assert subject.squares is not None
        x, y = subject.squares.inputs, subject.squares.targets
        total = product(subject.weights)
        gradient = 2 * (total @ x.T - y.T) @ x
        real = moved(subject.weights, gradient)
        modelled = preconditioned(total, gradient, len(subject.weights))
        worst = float((real - modelled).norm() / real.norm().clamp(min=1e-300))
        return Conclusion(
            worst < 1e-9, f"the two velocities of the product differ by {worst:.2g} of their size", {"error": worst}
        )

    def example(self) -> Case:
        """Three layers 3-4-3-2 of rank two."""
        phi = torch.tensor([[2.0, 0.5, 0.1], [0.3, 1.0, -0.4]], dtype=torch.float64)
        risk = whitened((3, 4, 3, 2), phi)
        return Case(risk, point(risk, balanced(0.5 * phi + 0.1, (3, 4, 3, 2))))

    def control(self) -> Case:
        """The same product with one layer twice as large and the next half."""
        case = self.example()
        risk = whitened((3, 4, 3, 2), torch.tensor([[2.0, 0.5, 0.1], [0.3, 1.0, -0.4]], dtype=torch.float64))
        theta = torch.as_tensor(case.point).clone() if not hasattr(case.point, "theta") else case.point.theta.clone()
        theta[:12] *= 2
        theta[12:24] /= 2
        return Case(risk, theta, drops="imbalance δ")
