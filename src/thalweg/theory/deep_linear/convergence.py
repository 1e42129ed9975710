"""Linear convergence of gradient descent from a balanced start with a margin (Arora, Cohen, Golowich & Hu 2019).

Everything here is for ½‖W_N … W_1 − Φ‖_F² (their eq. 1 on whitened data); another scale of F changes the step only.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor

from thalweg.records import Check
from thalweg.theory.claim import Case, Claim, Conclusion
from thalweg.theory.deep_linear.build import balanced, point, product, whitened
from thalweg.theory.deep_linear.problem import WHITE, target_of
from thalweg.theory.hypotheses import deep_linear, squared_error
from thalweg.theory.subject import Subject

Matrix = np.ndarray


def imbalance(weights: Sequence[Tensor]) -> float:
    """δ = max_j ‖W_{j+1}ᵀW_{j+1} − W_jW_jᵀ‖_F (Definition 1); 0 for one layer."""
    gaps = [float((b.T @ b - a @ a.T).norm()) for a, b in itertools.pairwise(weights)]
    return max(gaps, default=0.0)


def margin(weights: Sequence[Tensor], target: Tensor) -> float:
    """The margin c = σ_min(Φ) − ‖W_N … W_1 − Φ‖_F (Definition 2); below 0 where some rank-deficient map is as good."""
    return float(torch.linalg.svdvals(target)[-1] - (product(weights) - target).norm())


@dataclass(frozen=True)
class Rate:
    """What Theorem 1 gives: the imbalance allowed, the largest step certified, and the loss's factor per step."""

    imbalance: float
    margin: float
    allowed: float
    eta: float
    factor: float
    loss: float

    def steps(self, loss: float) -> float:
        """T: steps after which ½‖W − Φ‖² is below ``loss``; infinite where nothing is certified."""
        if loss >= self.loss:
            return 0.0
        if not self.factor < 1:
            return math.inf
        return float(math.ceil(math.log(self.loss / loss) / -math.log1p(self.factor - 1)))


def rate(weights: Sequence[Tensor], target: Tensor) -> Rate:
    """The constants of Theorem 1: δ ≤ c²/(256 N³‖Φ‖^{2(N−1)/N}), η = c^{(4N−2)/N}/(6144 N³‖Φ‖^{(6N−4)/N})."""
    n, size, c = len(weights), float(target.norm()), margin(weights, target)
    loss = 0.5 * float((product(weights) - target).square().sum())
    if c <= 0:
        return Rate(imbalance(weights), c, 0.0, 0.0, 1.0, loss)
    allowed = c**2 / (256 * n**3 * size ** (2 * (n - 1) / n))
    eta = c ** ((4 * n - 2) / n) / (6144 * n**3 * size ** ((6 * n - 4) / n))
    return Rate(imbalance(weights), c, allowed, eta, 1 - eta * c ** (2 * (n - 1) / n), loss)


@dataclass(frozen=True)
class Followed:
    """A run of gradient descent against the theorem, step by step; each count is of steps that broke a promise.

    ``loss`` [steps + 1]; ``contraction`` are steps with l(t + 1) > factor · l(t), ``margin`` those with σ_min below c,
    ``balance`` those with an imbalance above twice what was allowed, ``size`` those with ‖W_j‖ above (4‖Φ‖_F)^{1/N}.
    """

    loss: np.ndarray
    weights: tuple[Matrix, ...]
    contraction: int
    margin: int
    balance: int
    size: int

    @property
    def broken(self) -> int:
        """All of them."""
        return self.contraction + self.margin + self.balance + self.size


def descend(weights: Sequence[Matrix], target: Matrix, eta: float) -> list[Matrix]:
    """One step of gradient descent on ½‖W_N … W_1 − Φ‖_F²."""
    below = [weights[0]]
    for w in weights[1:]:
        below.append(w @ below[-1])
    error, found = below[-1] - target, list(weights)
    above = error
    for j in range(len(weights) - 1, -1, -1):
        found[j] = weights[j] - eta * (above @ below[j - 1].T if j else above)
        above = weights[j].T @ above
    return found


def follow(weights: Sequence[Tensor], target: Tensor, steps: int, eta: float | None = None) -> Followed:
    """Gradient descent for so many steps at ``eta`` (default: the certified one), each step held to Theorem 1.

    Comparisons allow for the rounding of one step, 1e-13 of what is compared. A run that overflows ends there, with
    an infinite loss.
    """
    promised = rate(weights, target)
    step = promised.eta if eta is None else eta
    now, phi = [w.double().numpy() for w in weights], target.double().numpy()
    factor = 1 - step * max(promised.margin, 0.0) ** (2 * (len(now) - 1) / len(now))
    largest = (4 * float(np.linalg.norm(phi))) ** (1 / len(now))
    loss, counts = [promised.loss], [0, 0, 0, 0]
    for _ in range(steps):
        now = descend(now, phi, step)
        total = now[0]
        for w in now[1:]:
            total = w @ total
        with np.errstate(over="ignore", invalid="ignore"):
            loss.append(0.5 * float(np.square(total - phi).sum()))
        if not np.isfinite(loss[-1]):
            loss[-1] = math.inf
            counts[0] += 1
            break
        gaps = [b.T @ b - a @ a.T for a, b in itertools.pairwise(now)]
        counts[0] += loss[-1] > factor * loss[-2] * (1 + 1e-13) + 1e-300
        counts[1] += _least(total) < promised.margin * (1 - 1e-13)
        counts[2] += max((float(np.linalg.norm(g)) for g in gaps), default=0.0) > 2 * promised.allowed + 1e-13 * largest
        counts[3] += max(_largest(w) for w in now) > largest * (1 + 1e-13)
    return Followed(np.array(loss), tuple(now), *counts)


def _least(matrix: Matrix) -> float:
    return abs(float(matrix[0, 0])) if matrix.size == 1 else float(np.linalg.svd(matrix, compute_uv=False)[-1])


def _largest(matrix: Matrix) -> float:
    return abs(float(matrix[0, 0])) if matrix.size == 1 else float(np.linalg.norm(matrix, 2))


@final
class Convergence(Claim):
    """Theorem 1 as a calculator, and as an audit of the steps that follow."""

    id: ClassVar[str] = "arora_2019.convergence"
    statement: ClassVar[str] = (
        "On whitened data, a deep linear network without bottleneck that starts with imbalance δ ≤ c²/(256 N³ "
        "‖Φ‖_F^{2(N−1)/N}) and deficiency margin c > 0 goes to the global minimum by gradient descent with step "
        "η ≤ c^{(4N−2)/N}/(6144 N³ ‖Φ‖_F^{(6N−4)/N}): every step multiplies the excess loss by at most "
        "1 − η c^{2(N−1)/N}."
    )
    citation: ClassVar[str] = "Arora, Cohen, Golowich & Hu 2019, Theorem 1"
    loss_scale: ClassVar[str] = "½‖W_N … W_1 − Φ‖_F²; other multiples of it change the step alone"
    states: ClassVar[tuple[str, ...]] = ("000.convergence", "000.second_order")

    STEPS: ClassVar[int] = 400
    """Steps that are followed and held to the theorem."""

    def hypotheses(self, subject: Subject) -> tuple[Check, ...]:
        """Deep linear, squared error, whitened, no bottleneck, margin, balance."""
        found = [deep_linear(subject), squared_error(subject)]
        problem = target_of(subject) if all(check.ok for check in found) else None
        if problem is None:
            return tuple(found)
        assert subject.chain is not None
        widths = subject.chain.widths
        found.append(Check.at_most("‖XXᵀ/α − I‖_F", problem.unwhitened, WHITE))
        found.append(
            Check.at_least("narrowest hidden layer against min(d_0, d_N)", min(widths), min(widths[0], widths[-1]))
        )
        promised = rate(subject.weights, problem.target)
        found.append(Check.above("deficiency margin c", promised.margin, 0.0))
        found.append(Check.at_most("imbalance δ", promised.imbalance, promised.allowed))
        return tuple(found)

    def conclude(self, subject: Subject) -> Conclusion:
        """η, T, and whether :attr:`STEPS` steps at η keep every promise of the proof."""
        problem = target_of(subject)
        assert problem is not None
        promised = rate(subject.weights, problem.target)
        eta = promised.eta if promised.eta > 0 else STANDARD
        ran = follow(subject.weights, problem.target, self.STEPS if promised.eta > 0 else LONG, eta)
        done = ran.broken == 0 if promised.eta > 0 else bool(ran.loss[-1] < 1e-6 * ran.loss[0])
        values = {
            "eta": eta / problem.scale, "factor": promised.factor, "margin": promised.margin,
            "steps": promised.steps(1e-6 * promised.loss), "followed": float(len(ran.loss) - 1),
            "broken": float(ran.broken),
        }  # fmt: skip
        said = (
            f"gradient descent with step {values['eta']:.3g} divides the excess loss by a million in at most "
            f"{values['steps']:,.0f} steps; the first {values['followed']:,.0f} kept every promise"
        )
        if not done:
            said = f"after {len(ran.loss) - 1:,} steps the excess loss is {ran.loss[-1]:.3g}, from {ran.loss[0]:.3g}"
        return Conclusion(done, said, values)

    def example(self) -> Case:
        """Φ = 1, w = .97: two scalar layers."""
        risk = whitened((1, 1, 1), torch.ones(1, 1, dtype=torch.float64))
        return Case(risk, point(risk, [torch.full((1, 1), 0.97, dtype=torch.float64)] * 2))

    def control(self) -> Case:
        """Balanced, without a margin: the identity where Φ has a negative eigenvalue."""
        phi = torch.diag(torch.tensor([1.0, -1.0], dtype=torch.float64))
        risk = whitened((2, 2, 2), phi)
        return Case(risk, point(risk, balanced(torch.eye(2), (2, 2, 2))), drops="deficiency margin c")


STANDARD, LONG = 0.1, 5000
"""The step, and how many, by which a control is shown to stay above."""
