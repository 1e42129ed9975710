"""Leaky rectified networks on separable data: stochastic gradient descent makes a bounded number of updates."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import ClassVar, final

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor

from thalweg.errors import InputError
from thalweg.records import Check
from thalweg.theory.claim import Case, Claim, Conclusion
from thalweg.theory.shallow.problem import Problem, is_a, problem_of
from thalweg.theory.subject import Subject

ROUNDS = 20_000
"""Passes over the rows after which a run is given up."""


@final
@dataclass(frozen=True, eq=False, repr=False)
class Hinge(Problem):
    """The mean of max(0, 1 − y_i N(x_i)), N(x) = v Σ_j (φ(w_j·x) − φ(u_j·x)) and φ(z) = max(z, leak·z).

    Rows ``inputs`` [n, d] and signs ``labels`` [n]; theta holds w_1 … w_k and then u_1 … u_k; v = ``output`` stays.

    Raises
    ------
    InputError
        If a label is no sign, the leak is not in (0, 1], or v or k is not positive.
    """

    inputs: Tensor
    labels: Tensor
    units: int
    leak: float = 0.2
    output: float = 1.0

    def __post_init__(self) -> None:
        if not bool((self.labels.abs() == 1).all()) or len(self.labels) != len(self.inputs):
            raise InputError(f"labels {self.labels.tolist()[:4]} …: give one sign, −1 or 1, for each row")
        if not 0 < self.leak <= 1 or not self.output > 0 or self.units < 1:
            raise InputError(f"leak={self.leak}, output={self.output}, units={self.units}: (0, 1], above 0, at least 1")

    @property
    def size(self) -> int:
        """Numbers in w and u."""
        return 2 * self.units * self.inputs.shape[1]

    def __call__(self, theta: Tensor) -> Tensor:
        """F at theta."""
        z = self.inputs.to(theta) @ theta.reshape(2 * self.units, -1).T
        z = torch.where(z > 0, z, self.leak * z)
        margins = self.output * (z[:, : self.units].sum(1) - z[:, self.units :].sum(1)) * self.labels.to(theta)
        return (1 - margins).clamp(min=0).mean()


def separator(inputs: Tensor, labels: Tensor) -> Tensor | None:
    """The shortest w* [d] with y_i w*·x_i ≥ 1 for every row; None where there is none.

    Its dual is non-negative least squares: with A = [y_i x_i; 1] over the rows, min ‖Aᵀλ − e_{d+1}‖ over λ ≥ 0 has a
    residual r that is 0 exactly where 0 is in the hull of the y_i x_i, and w* = −r_{1…d}/r_{d+1} otherwise.
    """
    signed = (inputs * labels[:, None]).double().cpu().numpy()
    columns = np.vstack([signed.T, np.ones(len(signed))])
    goal = np.zeros(len(columns))
    goal[-1] = 1.0
    weights, size = nnls(columns, goal)
    if size < 1e-9:
        return None
    residual = goal - columns @ weights
    found = -residual[:-1] / residual[-1]
    # rounding may leave a margin just below one: the scaled vector has it
    return torch.from_numpy(found / min(1.0, float((signed @ found).min())))


def most_updates(problem: Hinge, start: Tensor, separating: Tensor, rate: float) -> int:
    """So many updates are made at most, in any order of the rows; derived here, and no assumption on the start.

    Let M be the largest ‖x_i‖ and W* hold w* for every w_j and −w* for every u_j. An update adds at least 2kηvα to
    <θ, W*>, and at most 2η + 2kη²v²M² to ‖θ‖², since N is homogeneous and yN < 1. By Cauchy–Schwarz T updates have
    2kηvα·T − ‖θ_0‖√(2k)‖w*‖ ≤ √(2k)‖w*‖·√(‖θ_0‖² + (2η + 2kη²v²M²)T), which fails beyond a root of a quadratic.
    """
    k, v = problem.units, problem.output
    longest = float(problem.inputs.norm(dim=1).max())
    gain, size = 2 * k * rate * v * problem.leak, (2 * k) ** 0.5 * float(separating.norm())
    first, growth = float(start.norm()), 2 * rate + 2 * k * (rate * v * longest) ** 2
    # (gain·T − first·size)² = size²(first² + growth·T) at the larger root
    return ceil((2 * first * size * gain + size**2 * growth) / gain**2)


def updates(problem: Hinge, start: Tensor, rate: float, limit: int) -> tuple[int, bool]:
    """Stochastic gradient descent, rows in turn: how many updates, and whether every row then has margin one."""
    x, y = problem.inputs.numpy(), problem.labels.numpy()
    k, w = problem.units, start.reshape(2 * problem.units, -1).numpy().copy()
    signs = problem.output * np.repeat([1.0, -1.0], k)
    count = 0
    for _ in range(ROUNDS):
        clean = True
        for row, label in zip(x, y, strict=True):
            z = w @ row
            slopes = np.where(z > 0, 1.0, problem.leak) * signs
            if label * float(slopes @ z) < 1:
                w += rate * label * slopes[:, None] * row
                count, clean = count + 1, False
                if count > limit:
                    return count, False
        if clean:
            return count, True
    return count, False


@final
class SeparableData(Claim):
    """The bound is derived here (:func:`most_updates`), and is of the paper's order ‖w*‖²/α²."""

    id: ClassVar[str] = "brutzkus_2018.separable"
    statement: ClassVar[str] = (
        "On linearly separable rows stochastic gradient descent on the hinge loss of a two-layer leaky rectified "
        "network with fixed output weights ±v reaches loss zero after a bounded number of updates, whatever the width."
    )
    citation: ClassVar[str] = "Brutzkus, Globerson, Malach & Shalev-Shwartz 2018, Theorem 2 (number recalled)"
    loss_scale: ClassVar[str] = "mean hinge loss; a step is taken on one row"
    states: ClassVar[tuple[str, ...]] = ("001.hypothesis_2", "001.definition_VII.1")
    verified: ClassVar[bool] = False

    RATE: ClassVar[float] = 0.1
    """The step."""

    def hypotheses(self, subject: Subject) -> tuple[Check, ...]:
        """A leaky network under the hinge loss, separable rows."""
        found = [is_a(subject, Hinge, "a leaky rectified network under the hinge loss")]
        problem = problem_of(subject, Hinge)
        if problem is None:
            return tuple(found)
        separating = separator(problem.inputs, problem.labels)
        note = "" if separating is None else f"margin {1 / float(separating.norm()):.3g}"
        found.append(Check.given("linearly separable rows", separating is not None, note))
        return tuple(found)

    def conclude(self, subject: Subject) -> Conclusion:
        """A run from the point, against the bound where there is one."""
        problem = problem_of(subject, Hinge)
        assert problem is not None
        separating = separator(problem.inputs, problem.labels)
        most = 10_000 if separating is None else most_updates(problem, subject.theta, separating, self.RATE)
        count, done = updates(problem, subject.theta.cpu(), self.RATE, most)
        said = f"loss zero after {count:,} updates of at most {most:,}"
        if not done:
            said = f"loss zero is not reached by {count:,} updates"
        return Conclusion(done and count <= most, said, {"updates": float(count), "bound": float(most)})

    def example(self) -> Case:
        """Thirty rows on both sides of a line, with a gap."""
        return _rows(separable=True)

    def control(self) -> Case:
        """The same, with one row on both sides."""
        case = _rows(separable=False)
        return Case(case.objective, case.point, drops="linearly separable rows")


def _rows(separable: bool) -> Case:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(30, 2, generator=generator, dtype=torch.float64)
    y = torch.where(x[:, 0] > 0, 1.0, -1.0).double()
    x[:, 0] += 0.2 * y
    if not separable:
        x, y = torch.cat([x, x[:1]]), torch.cat([y, -y[:1]])
    problem = Hinge(x, y, units=3)
    start = 0.3 * torch.randn(problem.size, generator=generator, dtype=torch.float64)
    return Case(problem.objective(start), start)
