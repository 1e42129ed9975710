"""Sharpness-aware minimisation: the gradient is taken a step uphill."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.descent.noisy import unit
from thalweg.descent.rule import Info, Rule, Spent, State, at_least, positive


@dataclass(frozen=True)
class SAM(Rule):
    """theta ← theta − lr·∇F(theta + rho·∇F/|∇F|) (Foret et al. 2021, equations 2–4).

    A strict saddle can hold it: on F = −γy²/2 the ascent step goes from y to y − rho·sign(y), so that every |y| < rho
    is drawn to 0 and every |y| > rho leaves.
    """

    lr: float = 0.05
    rho: float = 0.05

    def __post_init__(self) -> None:
        positive("lr", self.lr)
        at_least("rho", self.rho, 0)

    def init(self, objective: Objective, theta: Tensor) -> State:
        """No state of its own."""
        return State(theta)

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """Two gradients, the second uphill."""
        loss, gradient = objective.value_and_grad(state.theta)
        _, above = objective.value_and_grad(state.theta + self.rho * unit(gradient))
        return State(state.theta - self.lr * above, {}, state.count + 1), Info(loss, gradient, Spent(gradients=2))
