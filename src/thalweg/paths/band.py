"""The forces on a band of points between two ends, as a rule on the one descent loop.

A band is relaxed across its direction only: Jónsson, Mills & Jacobsen 1998; tangents by Henkelman & Jónsson 2000.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.descent import Info, Rule, State, Steered


@dataclass(frozen=True, eq=False)
class Band(Rule):
    """``rule`` on the band's force at its inner pivots [B, P], between ``first`` and ``last`` [P] with F ``heights``.

    Without a ``spring`` (a stiffness per unit of length) the pivots are moved along the polyline before every step,
    to ``shares`` [B + 2] of its length: the limit of infinitely stiff springs (Draxler et al. 2018, §3.1). With
    ``climb``, the highest pivot goes uphill along the band and feels no spring (Henkelman, Uberuaga & Jónsson 2000).
    """

    rule: Rule
    first: Tensor
    last: Tensor
    heights: tuple[float, float]
    shares: Tensor
    spring: float | None = None
    climb: bool = False

    def init(self, objective: Objective, theta: Tensor) -> State:
        """That of the rule, and no heights yet."""
        inner = self.rule.init(objective, theta)
        heights = torch.full((len(theta), 1), torch.nan, dtype=torch.float64, device=theta.device)
        return State(inner.theta, {**inner.slots, "height": heights}, inner.count)

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """One gradient at every pivot."""
        slots = dict(state.slots)
        before = slots.pop("height")[:, 0]
        top = int(before.argmax()) if self.climb and bool(before.isfinite().all()) else None
        theta = state.theta if self.spring is not None else self._placed(state.theta, top)
        seen: list[Tensor] = []

        def field(thetas: Tensor) -> tuple[Tensor, Tensor]:
            losses, gradients = objective.value_and_grad(thetas)
            seen.append(losses)
            return losses, self.force(thetas, losses, gradients)

        moved, info = self.rule.step(Steered(objective, field), State(theta, slots, state.count))
        return State(moved.theta, {**moved.slots, "height": seen[0].unsqueeze(1)}, moved.count), info

    def force(self, thetas: Tensor, losses: Tensor, gradients: Tensor) -> Tensor:
        """What a rule takes for the gradient [B, P]: minus the force on each pivot.

        The gradient's part along the tangent is left out, and springs act along it (Henkelman & Jónsson 2000, eq. 12).
        """
        knots = torch.cat([self.first[None], thetas, self.last[None]])
        heights = torch.cat([losses.new_tensor(self.heights[:1]), losses, losses.new_tensor(self.heights[1:])])
        tau = tangents(knots, heights)
        along = (gradients * tau).sum(1, keepdim=True)
        found = gradients - along * tau
        if self.spring is not None:
            steps = knots.double().diff(dim=0).norm(dim=1)
            found = found - self.spring * (steps[1:] - steps[:-1]).to(tau).unsqueeze(1) * tau
        if self.climb and bool(losses.isfinite().all()):
            top = int(losses.argmax())
            if float(losses[top]) > max(self.heights):
                found[top] = gradients[top] - 2 * along[top] * tau[top]
        return found

    def _placed(self, theta: Tensor, top: int | None) -> Tensor:
        """The pivots at their shares of the length; a climbing one stays, and each side of it is placed by itself."""
        knots, at = torch.cat([self.first[None], theta, self.last[None]]), self.shares
        if top is None:
            return redistributed(knots, at)[1:-1]
        i = top + 1
        left, right = at[: i + 1] / at[i], (at[i:] - at[i]) / (1 - at[i])
        return torch.cat([redistributed(knots[: i + 1], left), redistributed(knots[i:], right)[1:]])[1:-1]


def tangents(knots: Tensor, heights: Tensor) -> Tensor:
    """Unit tangents [K − 2, P] at the inner ones of knots [K, P] with F heights [K] (Henkelman & Jónsson 2000, §III).

    Towards the higher neighbour; at an extremum a blend of both sides weighted by the differences in height, which
    turns smoothly from one to the other.
    """
    forward, backward = knots[2:] - knots[1:-1], knots[1:-1] - knots[:-2]
    up, down = heights[2:] - heights[1:-1], heights[:-2] - heights[1:-1]
    most, least = torch.maximum(up.abs(), down.abs()), torch.minimum(up.abs(), down.abs())
    rising, falling = (up > 0) & (down < 0), (up < 0) & (down > 0)
    higher_ahead = heights[2:] > heights[:-2]
    one, zero = torch.ones_like(most), torch.zeros_like(most)
    ahead = torch.where(rising, one, torch.where(falling, zero, torch.where(higher_ahead, most, least)))
    behind = torch.where(falling, one, torch.where(rising, zero, torch.where(higher_ahead, least, most)))
    level = (ahead == 0) & (behind == 0)  # three equal heights: both sides alike
    ahead, behind = torch.where(level, one, ahead), torch.where(level, one, behind)
    scale = torch.maximum(ahead, behind)
    tau = (ahead / scale).to(knots).unsqueeze(1) * forward + (behind / scale).to(knots).unsqueeze(1) * backward
    return tau / tau.double().norm(dim=1, keepdim=True).clamp(min=1e-300).to(tau)


def redistributed(knots: Tensor, shares: Tensor) -> Tensor:
    """Points [K', P] of the polyline through knots [K, P] at shares [K'] of its length, from 0 to 1; ends exact."""
    steps = knots.double().diff(dim=0).norm(dim=1).cpu()
    along = torch.cat([torch.zeros(1, dtype=torch.float64), steps.cumsum(0)])
    wanted = shares.double().cpu() * along[-1]
    piece = (torch.searchsorted(along, wanted, right=True) - 1).clamp(0, len(steps) - 1)
    width = steps[piece]
    part = torch.where(width > 0, (wanted - along[piece]) / torch.where(width > 0, width, 1.0), 0.0)
    part = part.clamp(0, 1).to(knots).unsqueeze(1)
    points = knots[piece] * (1 - part) + knots[piece + 1] * part
    points[0], points[-1] = knots[0], knots[-1]
    return points


def shares_of(knots: Tensor) -> Tensor:
    """Where the knots [K, P] lie on their polyline, as shares of its length, float64 [K]; equal where it has none."""
    steps = knots.double().diff(dim=0).norm(dim=1).cpu()
    along = torch.cat([torch.zeros(1, dtype=torch.float64), steps.cumsum(0)])
    if not float(along[-1]) > 0:
        return torch.linspace(0, 1, len(knots), dtype=torch.float64)
    found = along / along[-1]
    found[-1] = 1.0
    return found
