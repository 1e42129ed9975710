"""Descent along the signs of the gradient (Bernstein et al. 2018, “signSGD”, Algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.descent.rule import Info, Rule, State, positive


@final
@dataclass(frozen=True)
class SignDescent(Rule):
    """Every coordinate moves by ``lr`` against the sign of its derivative.

    Raises
    ------
    InputError
        If lr is not positive and finite.
    """

    lr: float = 0.01

    def __post_init__(self) -> None:
        positive("lr", self.lr)

    def init(self, objective: Objective, theta: Tensor) -> State:
        """Nothing is kept between steps."""
        return State(theta)

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """One gradient, one step."""
        loss, gradient = objective.value_and_grad(state.theta)
        moved = state.theta - self.lr * gradient.sign()
        return replace(state, theta=moved, count=state.count + 1), Info(loss, gradient)
