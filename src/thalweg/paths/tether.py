"""Beads of a string that descend together, each on the hyperplane equidistant from its two neighbours."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.descent import Adam, Info, Rule, State, Steered
from thalweg.errors import InputError

SWEEPS = 2
"""Passes over all beads by which a step is brought back: neighbours move as well, so one does not suffice."""


ROOM = 0.1
"""Share of the neighbours' distance that is added, in quadrature, to a bead's distance from their midpoint where the
soft constraint divides by it: at the midpoint the angle is not defined and its gradient has no bound (ours)."""


@dataclass(frozen=True, eq=False)
class Tethered(Rule):
    """``rule`` for every bead of a string at once: the batch [B, P] is the string, or what lies between fixed ``ends``.

    hard: the gradient loses its part along the line between a bead's neighbours, and after the step the bead is put
    back on the hyperplane {x : |x − θ_{i−1}| = |x − θ_{i+1}|}. Otherwise the bead's loss has the terms
    zeta·(|θ_{i−1} − θ_i| + |θ_{i+1} − θ_i|) and kappa·|cos φ|, φ the angle of θ_i − m and θ_{i+1} − θ_{i−1}, m the
    neighbours' midpoint, whose gradients are added. Without ``ends`` [P] the batch's first and last rows are the ends,
    which follow their own gradients.

    Freeman & Bruna 2017, Appendix A; where it prints (θ_{i−1} − θ_{i+1})/2 the midpoint is meant.

    Raises
    ------
    InputError
        If zeta or kappa is negative, or the rule needs more than gradients.
    """

    rule: Rule = field(default_factory=Adam)
    hard: bool = True
    zeta: float = 0.0
    kappa: float = 0.0
    ends: tuple[Tensor, Tensor] | None = None

    needs: ClassVar[frozenset[str]] = frozenset({"gradient"})

    def __post_init__(self) -> None:
        if not (0 <= self.zeta < float("inf") and 0 <= self.kappa < float("inf")):
            raise InputError(f"zeta={self.zeta}, kappa={self.kappa}: both must be finite and not negative")
        if self.rule.needs != frozenset({"gradient"}):
            raise InputError(f"{type(self.rule).__name__} needs more than gradients: use a rule such as Adam")

    def init(self, objective: Objective, theta: Tensor) -> State:
        """The state of the rule."""
        return self.rule.init(objective, theta)

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """One step of the rule along the gradient that the constraint leaves."""
        seen: list[Info] = []

        def field(thetas: Tensor) -> tuple[Tensor, Tensor]:
            seen.append(Info(*objective.value_and_grad(thetas)))
            return seen[0].loss, self.left(thetas, seen[0].gradient)

        after, _ = self.rule.step(Steered(objective, field), state)
        theta = after.theta
        if self.hard:
            whole = equidistant(self.string(theta), SWEEPS)
            theta = whole if self.ends is None else whole[1:-1]
        return State(theta, after.slots, after.count), seen[0]

    def string(self, theta: Tensor) -> Tensor:
        """The whole string of a batch."""
        return theta if self.ends is None else torch.cat([self.ends[0][None], theta, self.ends[1][None]])

    def left(self, theta: Tensor, gradient: Tensor) -> Tensor:
        """The gradient [B, P] that the rule follows at the batch theta [B, P]."""
        found, whole = gradient.clone(), self.string(theta)
        inner = found[1:-1] if self.ends is None else found
        if len(whole) < 3:
            return found
        if self.hard:
            u = directions(whole)
            inner -= (inner * u).sum(1, keepdim=True) * u
        if self.zeta or self.kappa:
            inner += self._pull(whole)
        return found

    def _pull(self, theta: Tensor) -> Tensor:
        """Gradients of the soft terms, each bead's by its own position, [B − 2, P]."""
        before, after = theta[:-2], theta[2:]
        with torch.enable_grad():
            bead = theta[1:-1].detach().requires_grad_()
            energy = self.zeta * (_length(bead - before) + _length(after - bead))
            offset, across = bead - (before + after) / 2, after - before
            floor = (ROOM * _length(across)).square()
            cosine = (offset * across).sum(1) / ((offset.square().sum(1) + floor).sqrt() * _length(across))
            (found,) = torch.autograd.grad((energy + self.kappa * cosine.abs()).sum(), bead)
        return found


def directions(theta: Tensor) -> Tensor:
    """The unit vectors from each bead's one neighbour to its other, [B − 2, P]; zero where these coincide."""
    across = theta[2:] - theta[:-2]
    return across / _length(across).clamp(min=1e-30)[:, None]


def equidistant(theta: Tensor, sweeps: int) -> Tensor:
    """Beads [B, P] projected onto their hyperplanes, every second one at a time so that neighbours stand still."""
    found = theta.clone()
    for _ in range(sweeps):
        for first in (1, 2):
            rows = torch.arange(len(theta))[first:-1:2]
            u, middle = found[rows + 1] - found[rows - 1], (found[rows + 1] + found[rows - 1]) / 2
            square = u.square().sum(1, keepdim=True).clamp(min=1e-30)
            found[rows] -= ((found[rows] - middle) * u).sum(1, keepdim=True) / square * u
    return found


def unevenness(theta: Tensor) -> float:
    """The largest relative difference of the distances of a bead from its neighbours; 0 on the hyperplanes."""
    steps = _length(theta.double().diff(dim=0))
    one, other = steps[:-1], steps[1:]
    return float(((one - other).abs() / (one + other).clamp(min=1e-30)).max()) if len(theta) > 2 else 0.0


def _length(x: Tensor) -> Tensor:
    return x.square().sum(1).clamp(min=1e-30).sqrt()
