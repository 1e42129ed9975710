"""Gradient descent, plain and with momentum; on minibatches these are stochastic gradient descent."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.descent.rule import Info, Rule, State, fraction, positive


@dataclass(frozen=True)
class GradientDescent(Rule):
    """theta ← theta − lr·∇F(theta)."""

    lr: float = 0.1

    def __post_init__(self) -> None:
        positive("lr", self.lr)

    def init(self, objective: Objective, theta: Tensor) -> State:
        """No state of its own."""
        return State(theta)

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """One gradient."""
        loss, gradient = objective.value_and_grad(state.theta)
        return State(state.theta - self.lr * gradient, {}, state.count + 1), Info(loss, gradient)


@dataclass(frozen=True)
class Momentum(Rule):
    """Heavy ball (Polyak 1964) in torch's convention: m ← μ·m + ∇F; theta ← theta − lr·m.

    ``nesterov=True`` steps along ∇F + μ·m instead (Sutskever et al. 2013).
    """

    lr: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False

    def __post_init__(self) -> None:
        positive("lr", self.lr)
        fraction("momentum", self.momentum)

    def init(self, objective: Objective, theta: Tensor) -> State:
        """A zero velocity per point."""
        return State(theta, {"velocity": torch.zeros_like(theta)})

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """One gradient."""
        loss, gradient = objective.value_and_grad(state.theta)
        velocity = self.momentum * state.slots["velocity"] + gradient
        along = gradient + self.momentum * velocity if self.nesterov else velocity
        return State(state.theta - self.lr * along, {"velocity": velocity}, state.count + 1), Info(loss, gradient)
