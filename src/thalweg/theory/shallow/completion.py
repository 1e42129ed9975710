"""Matrix completion: incoherent rows, enough entries and even rows of X leave no bad minimum."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import ClassVar, final

import torch
from torch import Tensor

from thalweg.core.rng import Stream
from thalweg.errors import InputError
from thalweg.records import Check, Guarantee
from thalweg.theory.claim import Case, Claim, Conclusion
from thalweg.theory.shallow.problem import Problem, is_a, problem_of
from thalweg.theory.shallow.survey import survey
from thalweg.theory.subject import Subject

ENOUGH = 2.5
"""The constant that the theorem does not name, chosen here: of 40 masks at this share none had a bad minimum."""

ZERO = 1e-8
"""F below this share of F at 0 counts as 0."""


@final
@dataclass(frozen=True, eq=False, repr=False)
class Completion(Problem):
    """‖W∘(XXᵀ − X*X*ᵀ)‖²/(4p) + weight·Σ_i max(‖X_i‖ − level, 0)⁴ over X [d, r]: p is the mean of W.

    ``seen`` is W [d, d], symmetric of 0 and 1; ``planted`` X* [d, r]; rows of X longer than ``level`` are pulled in.

    Raises
    ------
    InputError
        If W is not symmetric, sees nothing, or does not fit X*.
    """

    seen: Tensor
    planted: Tensor
    level: float
    weight: float

    def __post_init__(self) -> None:
        w = self.seen
        if w.shape != (len(self.planted),) * 2 or not torch.equal(w, w.T) or not bool((w != 0).any()):
            raise InputError(
                f"seen {list(w.shape)}: it must be symmetric [d, d], d = {len(self.planted)}, and not zero"
            )

    @property
    def size(self) -> int:
        """The entries of X."""
        return self.planted.numel()

    def __call__(self, theta: Tensor) -> Tensor:
        """F at X, row after row."""
        x, w, planted = theta.reshape(self.planted.shape), self.seen.to(theta), self.planted.to(theta)
        misfit = w * (x @ x.T - planted @ planted.T)
        squares = x.square().sum(1)
        # Rows inside the level are replaced before the root, whose derivative at zero is infinite.
        outside = squares > self.level**2
        long = (torch.where(outside, squares, 4 * self.level**2).sqrt() - self.level) ** 4
        return misfit.square().sum() / (4 * w.mean()) + self.weight * torch.where(outside, long, 0.0).sum()

    @property
    def coherence(self) -> float:
        """μ = (d/r)·max_i ‖U_i‖² for an orthonormal basis U of the columns of X*: 1 to d/r."""
        u = torch.linalg.qr(self.planted).Q
        return float(u.square().sum(1).max()) * len(u) / u.shape[1]

    @property
    def condition(self) -> float:
        """κ of X*X*ᵀ."""
        s = torch.linalg.svdvals(self.planted)
        return float((s[0] / s[-1]) ** 2)

    @classmethod
    def drawn(cls, dimension: int, share: float, seed: int) -> Completion:
        """Signs of size 1/√d, of coherence 1, with entries seen at random."""
        draws = torch.rand(dimension, dimension, generator=Stream(seed, ("seen",)).torch(), dtype=torch.float64)
        upper = (draws <= share).triu()
        upper[0, 0] = True
        signs = torch.where(torch.rand(dimension, 1, generator=Stream(seed, ("signs",)).torch()) < 0.5, -1.0, 1.0)
        return cls((upper | upper.T).double(), signs.double() / dimension**0.5, 2 / dimension**0.5, 10.0)


@final
class CompletionClaim(Claim):
    """The share of entries against ENOUGH·μ⁴r⁶κ⁶·log(d)/d: the powers are the papers', recalled, the constant ours."""

    id: ClassVar[str] = "ge_2016.completion"
    statement: ClassVar[str] = (
        "Symmetric matrix completion with enough entries seen at random, an incoherent answer and a regulariser of the "
        "rows has no bad local minimum with high probability: each one is the planted matrix, and saddles are strict."
    )
    citation: ClassVar[str] = "Ge, Lee & Ma 2016; powers as in Ge, Jin & Zheng 2017 (recalled), constant chosen here"
    loss_scale: ClassVar[str] = "‖W∘(XXᵀ − X*X*ᵀ)‖²/(4p)"
    states: ClassVar[tuple[str, ...]] = ("000.shallow", "000.landscape_conjecture")
    verified: ClassVar[bool] = False

    def hypotheses(self, subject: Subject) -> tuple[Check, ...]:
        """Completion, a regulariser that leaves X* alone, enough entries for the coherence."""
        found = [is_a(subject, Completion, "matrix completion")]
        problem = problem_of(subject, Completion)
        if problem is None:
            return tuple(found)
        longest = float(problem.planted.norm(dim=1).max())
        found.append(Check.above("weight of the rows' regulariser", problem.weight, 0.0))
        found.append(Check.at_most("longest row of X* against the level", longest, problem.level))
        d, r = problem.planted.shape
        mu, kappa = problem.coherence, problem.condition
        needed = ENOUGH * mu**4 * r**6 * kappa**6 * log(d) / d
        note = f"coherence {mu:.3g}, condition {kappa:.3g}"
        found.append(Check.at_least("share of entries seen", float(problem.seen.mean()), needed, note))
        return tuple(found)

    def conclude(self, subject: Subject) -> Conclusion:
        """Every second-order point that searches reach is the planted matrix."""
        problem = problem_of(subject, Completion)
        assert problem is not None
        found = survey(subject, float(problem.planted.square().mean().sqrt()))
        x = torch.from_numpy(found.thetas).reshape(-1, *problem.planted.shape)
        target = problem.planted @ problem.planted.T
        away = ((x @ x.mT - target).norm(dim=(1, 2)) / target.norm()).numpy()
        bad = int((found.second_order & (away > ZERO**0.5)).sum())
        said, values = found.told(bad, "the planted matrix")
        return Conclusion(bad == 0, said, values, Guarantee.SAMPLED)

    def example(self) -> Case:
        """Twelve signs, six entries in ten."""
        problem = Completion.drawn(12, 0.6, 0)
        return Case(problem.objective(), torch.ones(12, dtype=torch.float64) / 12)

    def control(self) -> Case:
        """Eight signs, three entries in ten: a strict local minimum that fits them badly."""
        problem = Completion.drawn(8, 0.3, 0)
        return Case(problem.objective(), torch.ones(8, dtype=torch.float64) / 8, drops="share of entries seen")
