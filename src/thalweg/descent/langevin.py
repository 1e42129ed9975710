"""Stochastic gradient Langevin dynamics, with its temperature said."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.descent.rule import Info, Rule, State, at_least, positive


@dataclass(frozen=True)
class SGLD(Rule):
    """theta ← theta − lr·∇F + √(2·lr·temperature)·N(0, I) (Welling & Teh 2011; Zhang, Liang & Charikar 2017).

    Its law tends to exp(−F/temperature) as lr → 0. On λx²/2 the stationary variance is temperature/(λ(1 − lr·λ/2)).
    ``bounded`` refuses proposals longer than 4√(2·lr·temperature·P), as Zhang et al. do (their 1/ξ is the temperature;
    their K is not offered). They report the best point visited; a record keeps the points at its pictures.
    """

    temperature: float
    lr: float = 0.01
    bounded: bool = False

    def __post_init__(self) -> None:
        at_least("temperature", self.temperature, 0)
        positive("lr", self.lr)

    def init(self, objective: Objective, theta: Tensor) -> State:
        """No state of its own."""
        return State(theta)

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """One gradient."""
        loss, gradient = objective.value_and_grad(state.theta)
        spread = math.sqrt(2 * self.lr * self.temperature)
        theta = state.theta - self.lr * gradient + spread * state.draws.normal(gradient, state.count)
        if self.bounded:
            most = 4 * spread * math.sqrt(theta.shape[1])
            theta = torch.where((theta - state.theta).norm(dim=1, keepdim=True) <= most, theta, state.theta)
        return State(theta, {}, state.count + 1), Info(loss, gradient)
