"""Rules that scale each coordinate: RMSProp and Adam, in torch's conventions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.descent.rule import Info, Rule, State, fraction, positive


@dataclass(frozen=True)
class RMSProp(Rule):
    """theta ← theta − lr·g / (√v + eps), v the running mean of g² (Tieleman & Hinton 2012)."""

    lr: float = 1e-2
    alpha: float = 0.99
    eps: float = 1e-8

    def __post_init__(self) -> None:
        positive("lr", self.lr)
        positive("eps", self.eps)
        fraction("alpha", self.alpha)

    def init(self, objective: Objective, theta: Tensor) -> State:
        """A zero mean square per point."""
        return State(theta, {"square": torch.zeros_like(theta)})

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """One gradient."""
        loss, gradient = objective.value_and_grad(state.theta)
        square = self.alpha * state.slots["square"] + (1 - self.alpha) * gradient.square()
        theta = state.theta - self.lr * gradient / (square.sqrt() + self.eps)
        return State(theta, {"square": square}, state.count + 1), Info(loss, gradient)


@dataclass(frozen=True)
class Adam(Rule):
    """Kingma & Ba 2015, Algorithm 1, with bias correction."""

    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        positive("lr", self.lr)
        positive("eps", self.eps)
        fraction("beta1", self.beta1)
        fraction("beta2", self.beta2)

    def init(self, objective: Objective, theta: Tensor) -> State:
        """Zero moments per point."""
        return State(theta, {"mean": torch.zeros_like(theta), "square": torch.zeros_like(theta)})

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """One gradient."""
        loss, gradient = objective.value_and_grad(state.theta)
        count = state.count + 1
        mean = self.beta1 * state.slots["mean"] + (1 - self.beta1) * gradient
        square = self.beta2 * state.slots["square"] + (1 - self.beta2) * gradient.square()
        root = (square / (1 - self.beta2**count)).sqrt() + self.eps
        theta = state.theta - self.lr / (1 - self.beta1**count) * mean / root
        return State(theta, {"mean": mean, "square": square}, count), Info(loss, gradient)
