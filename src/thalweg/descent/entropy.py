"""Entropy-SGD: descent on local entropy, whose gradient an inner Langevin walk estimates."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.descent.rule import Info, Rule, Spent, State, at_least, fraction, positive


@dataclass(frozen=True)
class EntropySGD(Rule):
    """theta ← theta − lr·γ(theta − μ), μ a running mean of ``inner`` Langevin steps near theta (Chaudhari et al. 2017).

    The walk x ← x − inner_lr·(∇F(x) + γ(x − theta)) + √(2·inner_lr·temperature)·N(0, I) starts at theta, and μ ← α·μ +
    (1 − α)·x. γ(theta − E x) is the gradient of −T·ln ∫ exp(−(F(x) + γ|x − theta|²/2)/T) dx; on F = λx²/2 it is
    γλ/(γ + λ)·x at any temperature T, so that stiff directions saturate and negative curvature −|λ| > −γ is amplified
    by γ/(γ − |λ|). Scoping: γ = gamma·(1 + scoping)^step. ``batch`` rows are drawn for every inner step; None takes
    those that the step was given. The authors' code leaves the factor γ out of the outer step: with it in, lr is the
    rate of the local entropy. Their noise is given as a length; here it is a temperature.

    Raises
    ------
    InputError
        If a constant is out of range.
    """

    temperature: float
    lr: float = 1.0
    gamma: float = 0.03
    scoping: float = 0.001
    inner: int = 20
    inner_lr: float = 0.1
    alpha: float = 0.75
    batch: int | None = None

    def __post_init__(self) -> None:
        at_least("temperature", self.temperature, 0)
        for name in ("lr", "gamma", "inner_lr"):
            positive(name, getattr(self, name))
        at_least("scoping", self.scoping, 0)
        fraction("alpha", self.alpha)
        for name, value in (("inner", self.inner), ("batch", 1 if self.batch is None else self.batch)):
            at_least(name, value, 1)

    def init(self, objective: Objective, theta: Tensor) -> State:
        """No state of its own: scoping goes by the steps taken."""
        return State(theta)

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """``inner`` gradients; the loss is F where the walk began."""
        gamma = self.gamma * (1 + self.scoping) ** state.count
        spread = math.sqrt(2 * self.inner_lr * self.temperature)
        x = mean = state.theta
        for i in range(self.inner):
            draw = state.count * self.inner + i
            value, gradient = self._part(objective, state, draw).value_and_grad(x)
            if i == 0:
                loss = value
            x = x - self.inner_lr * (gradient + gamma * (x - state.theta))
            if spread:
                x = x + spread * state.draws.normal(x, draw)
            mean = self.alpha * mean + (1 - self.alpha) * x
        slope = gamma * (state.theta - mean)
        share = 1.0 if self.batch is None else min(1.0, self.batch / objective.row_count)
        info = Info(loss, slope, Spent(gradients=self.inner * share))
        return State(state.theta - self.lr * slope, {}, state.count + 1), info

    def _part(self, objective: Objective, state: State, draw: int) -> Objective:
        if self.batch is None:
            return objective
        index = state.draws.integers(objective.row_count, self.batch, draw)
        return objective.rows(index if len(index) > 1 else index[0])
