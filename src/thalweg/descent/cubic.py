"""Cubic regularisation: the step that minimises a quadratic model plus a cubic, exact or in a Krylov space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.descent import spectral
from thalweg.descent.awake import Awake, awake
from thalweg.descent.rule import Info, Rule, Spent, State, positive
from thalweg.descent.spectral import Pairs, Seed
from thalweg.errors import InputError

BISECTIONS = 100
"""Halvings of the interval that holds the multiplier of a cubic model."""

LEAST_SIGMA = 1e-15


@dataclass(frozen=True)
class Cubic(Rule):
    """θ ← θ + argmin g·s + sᵀHs/2 + σ|s|³/3 (Nesterov & Polyak 2006; σ = M/2 in their notation).

    With ``lipschitz`` M, a bound of the Hessian's Lipschitz constant, every step lowers F by at least M|s|³/12. Without
    it σ adapts (ARC: Cartis, Gould & Toint 2011): a step is taken where F falls by at least ``accept`` of what the
    model promises, σ is divided by ``factor`` beyond ``good`` and multiplied where a step is refused; the defaults are
    those of Kohler & Lucchi 2017. At a saddle the model's minimisers are ±2γ/M along the most negative eigenvector,
    the sign is drawn. ``rank`` and ``seed`` as in :class:`thalweg.descent.saddle_free.SaddleFree`.

    Raises
    ------
    InputError
        If a number is out of its range, or the seed is unknown.
    """

    lipschitz: float | None = None
    sigma: float = 1.0
    accept: float = 0.1
    good: float = 0.9
    factor: float = 2.0
    rank: int | None = None
    seed: Seed = "random"

    needs: ClassVar[frozenset[str]] = frozenset({"value", "gradient", "product"})

    def __post_init__(self) -> None:
        for name in ("lipschitz", "sigma"):
            if getattr(self, name) is not None:
                positive(name, getattr(self, name))
        if not 0 < self.accept <= self.good < 1 or not 1 < self.factor < float("inf"):
            raise InputError(
                f"accept={self.accept}, good={self.good}, factor={self.factor}: 0 < accept ≤ good < 1 < factor"
            )
        spectral.checked(self.seed)
        if self.rank is not None and self.rank < 2:
            raise InputError(f"rank={self.rank}: a Krylov space takes at least 2 directions; None takes all")

    def init(self, objective: Objective, theta: Tensor) -> State:
        """The σ of each point, [B, 1]."""
        sigma = self.sigma if self.lipschitz is None else self.lipschitz / 2
        return State(theta, {"sigma": torch.full_like(theta[:, :1], sigma, dtype=torch.float64)})

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """One gradient, P or ``rank`` products, and without ``lipschitz`` one value."""
        loss, gradient = objective.value_and_grad(state.theta)
        here = awake(objective, state, loss, gradient, "cubic")
        with here.objective.linearized(here.theta) as linear:
            pairs, products = spectral.pairs_of(linear, here.gradient, here.noise, self.rank, self.seed)
        sigma, along = state.slots["sigma"][here.which, 0], pairs.along(here.gradient)
        sign = pairs.along(here.noise)[:, 0].sign() if self.seed == "random" else torch.zeros_like(sigma)
        y = minimiser(pairs.values, along, sigma, sign)
        moved = here.objective.retract(here.theta + pairs.combine(y).to(here.theta))
        values = 0.0
        if self.lipschitz is None:
            promised = -_model(pairs, along, sigma, y)
            moved, sigma = self._judged(here, moved, promised, sigma)
            values = 1.0
        spent = Spent(forwards=here.counted(loss, values), products=here.counted(loss, products))
        slots = {"sigma": here.spread(state.slots["sigma"], sigma[:, None])}
        return State(here.spread(state.theta, moved), slots, state.count + 1), Info(loss, gradient, spent)

    def _judged(self, here: Awake, moved: Tensor, promised: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Where each point goes, and its next σ."""
        fell = here.loss - here.objective.losses(moved)
        rounding = here.objective.tolerance * here.loss.abs()
        share = torch.where(promised > rounding, fell / promised.clamp(min=1e-300), 1.0)
        taken = (share >= self.accept) & (fell >= -rounding)
        smaller = (sigma / self.factor).clamp(min=LEAST_SIGMA)
        kept = torch.where(share > self.good, smaller, sigma)
        return torch.where(taken[:, None], moved, here.theta), torch.where(taken, kept, sigma * self.factor)


def minimiser(values: Tensor, along: Tensor, sigma: Tensor, sign: Tensor) -> Tensor:
    """The global minimiser of a·y + Σ λ_i y_i²/2 + σ|y|³/3, float64 [B, m], for λ ascending and a [B, m], σ [B].

    y = −a/(λ + μ) with μ = σ|y| ≥ max(0, −λ₁) (Nesterov & Polyak 2006, §5), found by bisection in μ + min(0, λ₁). In
    the hard case, where a has no part along v₁ and this y is too short, ±v₁ is added with the sign given [B]; a sign of
    0 adds nothing.
    """
    least = (-values[:, :1]).clamp(min=0)
    low = torch.zeros_like(least)
    high = (sigma * along.norm(dim=1)).sqrt()[:, None]

    def solved(gap: Tensor) -> Tensor:
        shifted = values + least + gap
        return torch.where(shifted > 0, -along / torch.where(shifted > 0, shifted, 1.0), 0.0)

    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        long = solved(middle).norm(dim=1, keepdim=True) * sigma[:, None] > least + middle
        low, high = torch.where(long, middle, low), torch.where(long, high, middle)
    y = solved(high)
    wanted = ((least + high) / sigma[:, None])[:, 0].square()
    missing = wanted - y.square().sum(1)
    hard = (least[:, 0] > 0) & (missing > 1e-9 * wanted)
    own = torch.where(y[:, 0] != 0, y[:, 0].sign(), sign)
    first = torch.where(hard, own * (y[:, 0].square() + missing.clamp(min=0)).sqrt(), y[:, 0])
    return torch.cat([first[:, None], y[:, 1:]], dim=1)


def _model(pairs: Pairs, along: Tensor, sigma: Tensor, y: Tensor) -> Tensor:
    """The model's change of F, float64 [B]."""
    return (along * y + pairs.values * y.square() / 2).sum(1) + sigma / 3 * y.norm(dim=1) ** 3
