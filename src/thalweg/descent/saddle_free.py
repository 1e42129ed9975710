"""Saddle-free Newton: Newton's step with every eigenvalue's sign taken away, exact or in a Krylov space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.descent import spectral
from thalweg.descent.awake import awake
from thalweg.descent.lengths import lowered
from thalweg.descent.rule import Info, Rule, Spent, State, positive
from thalweg.descent.spectral import Pairs, Seed
from thalweg.errors import InputError


@dataclass(frozen=True)
class SaddleFree(Rule):
    """θ ← θ − α|H|⁻¹∇F, |λ| not below ``floor`` times the largest, α halved until F falls (Dauphin et al. 2014).

    Along an eigenvector of negative curvature the distance to a saddle doubles in every step, whatever the curvature;
    with |H| truncated from below the base is at least 3/2 (Paternain, Mokhtari & Ribeiro 2019). There the step is at
    least ``kick`` long, with a random sign where the gradient has none, so that no saddle holds it. ``rank`` None takes
    the whole Hessian by P products; a number takes Ritz pairs of the Krylov space of the gradient and a random vector,
    and outside it a gradient step over the largest |Ritz value|. ``seed`` "gradient" grows it from the gradient alone
    and leaves out the kick: such a method stays on the stable manifold of a saddle.

    Raises
    ------
    InputError
        If a number is not positive, rank is below 2, or the seed is unknown.
    """

    rank: int | None = None
    floor: float = 1e-8
    kick: float = 1e-4
    seed: Seed = "random"

    needs: ClassVar[frozenset[str]] = frozenset({"value", "gradient", "product"})

    def __post_init__(self) -> None:
        positive("floor", self.floor)
        positive("kick", self.kick)
        spectral.checked(self.seed)
        if self.rank is not None and self.rank < 2:
            raise InputError(f"rank={self.rank}: a Krylov space takes at least 2 directions; None takes all")

    def init(self, objective: Objective, theta: Tensor) -> State:
        """No state of its own."""
        return State(theta)

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """One gradient, P or ``rank`` products, and a value for every length tried."""
        loss, gradient = objective.value_and_grad(state.theta)
        here = awake(objective, state, loss, gradient, "saddle_free")
        with here.objective.linearized(here.theta) as linear:
            pairs, products = spectral.pairs_of(linear, here.gradient, here.noise, self.rank, self.seed)
        step = self._step(pairs, here.gradient, here.noise)
        moved, values = lowered(here.objective, here.theta, step, here.loss, (step * here.gradient).sum(1))
        spent = Spent(forwards=here.counted(loss, values), products=here.counted(loss, products))
        return State(here.spread(state.theta, moved), {}, state.count + 1), Info(loss, gradient, spent)

    def _step(self, pairs: Pairs, gradient: Tensor, random: Tensor) -> Tensor:
        along = pairs.along(gradient)
        least = (self.floor * pairs.scale).clamp(min=torch.finfo(torch.float64).tiny)[:, None]
        move = along / torch.maximum(pairs.values.abs(), least)
        if self.seed == "random":
            sign = torch.where(along != 0, along, pairs.along(random)).sign()
            short = (pairs.values < -least) & (move.abs() < self.kick)
            move = torch.where(short, self.kick * sign, move)
        step = -pairs.combine(move)
        if not pairs.whole:
            rest = gradient - pairs.combine(along)
            step = step - rest / pairs.scale.clamp(min=torch.finfo(torch.float64).tiny)[:, None]
        return step
